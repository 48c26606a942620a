"""The adapter for lm_eval against lm_eval's own `hf` model on the exported folder, on tasks of a temporary folder."""

import json
import os
import random

import pytest
import torch

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
lm_eval = pytest.importorskip("lm_eval", reason="lm_eval is not installed: pip install 'inkstone[lm_eval]'")

from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

from evaluation.tiny_runs import WORDS, byte_tokenizer  # noqa: E402
from inkstone.errors import InkstoneError  # noqa: E402
from inkstone.hub.export import export  # noqa: E402
from inkstone.hub.folder import save  # noqa: E402
from inkstone.hub.lm_eval_adapter import InkstoneLM  # noqa: E402
from inkstone.models.decoder import Decoder, DecoderSettings  # noqa: E402
from inkstone.models.ngram import NGram, NGramSettings  # noqa: E402

TASKS = {
    "word": """
output_type: loglikelihood
doc_to_text: "{{text.split(' ')[:-1]|join(' ')}}"
doc_to_target: "{{' '+text.split(' ')[-1]}}"
metric_list: [{metric: perplexity, aggregation: perplexity, higher_is_better: false}, {metric: acc, aggregation: mean, higher_is_better: true}]
""",
    "choice": """
output_type: multiple_choice
doc_to_text: "{{query}}"
doc_to_target: "{{gold}}"
doc_to_choice: "{{choices}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}, {metric: acc_norm, aggregation: mean, higher_is_better: true}]
""",
    "sentence": """
output_type: multiple_choice
doc_to_text: ""
doc_to_target: 0
doc_to_choice: "{{choices}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
""",
    "answer": """
output_type: generate_until
doc_to_text: "{{query}}"
doc_to_target: "{{choices[0]}}"
generation_kwargs: {until: ["\\n", "e"], max_gen_toks: 12, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, module_patch):
    """A checkpoint of a random decoder of bytes, tasks in YAML, and their data."""
    folder = tmp_path_factory.mktemp("lm_eval")
    module_patch.setattr("datasets.config.HF_DATASETS_CACHE", str(folder / "cache"))
    tokenizer = byte_tokenizer()
    settings = DecoderSettings(
        vocab_size=tokenizer.vocab_size, width=32, n_layers=2, n_heads=2, n_kv_heads=1, head_width=16, hidden=48, context=64
    )  # fmt: skip
    model = Decoder(settings, tokenizer)
    generator = torch.Generator().manual_seed(3)
    for weight in model.parameters():
        weight.data.normal_(0, 0.5, generator=generator)
    save(model, folder / "model")
    draw = random.Random(0)

    def words(most: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(1, most)))

    # Some contexts and continuations together are longer than the model's context.
    records = [
        {
            "text": words(16) + " ink",
            "query": words(14),
            "choices": [words(5) for _ in range(3)],
            "gold": draw.randrange(3),
        }
        for _ in range(12)
    ]
    records[3]["query"] += "  "  # lm_eval moves blanks at the end over to the continuation
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    (folder / "tasks").mkdir()
    for name, task in TASKS.items():
        head = f"task: local_{name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder / 'data.jsonl'}}}}}\n"
        (folder / "tasks" / f"{name}.yaml").write_text(f"{head}test_split: test{task}", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def module_patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def theirs(folder) -> HFLM:
    return HFLM(str(export(folder / "model", "hf", folder / "hf")), device="cpu", dtype="float32", batch_size=4)


@pytest.fixture(scope="module")
def outcomes(folder, theirs):
    """What lm_eval makes of theirs and of ours."""
    manager = TaskManager(include_path=str(folder / "tasks"), include_defaults=False)

    def outcome(model):
        tasks = [f"local_{name}" for name in TASKS]
        return lm_eval.simple_evaluate(model, tasks=tasks, task_manager=manager, bootstrap_iters=0)

    return outcome(theirs), outcome(InkstoneLM(folder / "model"))


@pytest.mark.parametrize("name", TASKS)
def test_the_figures_are_those_of_hf(outcomes, name):
    theirs, ours = (outcome["results"][f"local_{name}"] for outcome in outcomes)
    figures = {key for key in theirs if key.split(",")[0] in ("acc", "acc_norm", "exact_match", "perplexity")}
    assert figures
    for key in figures:
        assert ours[key] == pytest.approx(theirs[key], rel=1e-4)


@pytest.mark.parametrize("name", ["word", "choice", "sentence"])
def test_every_likelihood_is_that_of_hf(outcomes, name):
    theirs, ours = (
        [sample["filtered_resps"] for sample in outcome["samples"][f"local_{name}"]] for outcome in outcomes
    )
    assert len(ours) == 12
    for a, b in zip(theirs, ours, strict=True):
        for (their_log, their_greedy), (our_log, our_greedy) in zip(a, b, strict=True):
            assert our_log == pytest.approx(their_log, abs=1e-4, rel=1e-6)
            assert our_greedy == their_greedy


def test_every_text_written_is_that_of_hf(outcomes):
    theirs, ours = ([sample["resps"] for sample in outcome["samples"]["local_answer"]] for outcome in outcomes)
    assert ours == theirs
    assert any(text for ((text,),) in ours)


def instances(kind: str, *arguments) -> list[Instance]:
    return [Instance(kind, {}, each, i) for i, each in enumerate(arguments)]


def test_whole_texts_are_those_of_hf_without_a_beginning_that_is_predicted(folder, theirs):
    texts = [("ink on stone",), ("a",), ("the slow ink " * 12,)]
    plain = HFLM(theirs.model, tokenizer=theirs.tokenizer, add_bos_token=False, batch_size=2)
    ours = InkstoneLM(folder / "model").loglikelihood_rolling(instances("loglikelihood_rolling", *texts))
    expected = plain.loglikelihood_rolling(instances("loglikelihood_rolling", *texts))
    assert ours == pytest.approx(expected, rel=1e-5)


def test_it_is_registered_and_made_from_arguments(folder):
    from lm_eval.api.registry import get_model

    made = get_model("inkstone").create_from_arg_obj({"run": str(folder / "model")}, {"batch_size": 8, "device": None})
    assert isinstance(made, InkstoneLM) and made.max_length == 64
    assert made.tokenizer_name == byte_tokenizer().fingerprint
    assert InkstoneLM(made.model, max_length=16).max_length == 16


def test_a_family_that_hf_does_not_know():
    tokenizer = byte_tokenizer()
    model = NGram(NGramSettings(tokenizer.vocab_size, order=5), tokenizer)
    model.fit(tokenizer.encode_batch(["ink dries.", "ink dries."]), None, torch.Generator(), lambda text: None)
    ours = InkstoneLM(model)
    assert ours.max_length is None
    (likely, unlikely) = ours.loglikelihood(instances("loglikelihood", ("ink", " dries."), ("ink", " burns.")))
    assert likely[0] > unlikely[0] and likely[1] and not unlikely[1]
    assert ours.generate_until(instances("generate_until", ("ink d", {"until": ["."]}))) == ["ries"]
    (whole,) = ours.loglikelihood_rolling(instances("loglikelihood_rolling", ("ink dries.",)))
    ids = tokenizer.encode_batch(["ink dries."])
    assert whole == pytest.approx(-model.token_nats(ids)[0][:-1].sum(), rel=1e-5)
    assert ours.loglikelihood_rolling(instances("loglikelihood_rolling", ("",))) == [0]


def test_settings_of_generation(folder, caplog):
    ours = InkstoneLM(folder / "model")
    drawn = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 8, "seed": 5}
    one, same, other = ours.generate_until(
        instances("generate_until", ("ink", drawn), ("ink", drawn), ("ink", {**drawn, "seed": 6}))
    )
    assert one == same != other
    ours.generate_until(instances("generate_until", ("ink", {"max_gen_toks": 2, "num_beams": 3})))
    assert "num_beams" in caplog.text
    with pytest.raises(InkstoneError, match=r"64 new tokens leave no room.*max_gen_toks"):
        ours.generate_until(instances("generate_until", ("ink", {"max_gen_toks": 64})))
