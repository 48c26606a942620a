"""On a GPU: what trains there trains, what writes there writes the same as on the CPU, and what comes from there opens anywhere.

Everything here is skipped where torch sees no GPU.
"""

import itertools
import json

import numpy as np
import pytest
import torch

from evaluation.tiny_runs import byte_tokenizer, texts
from inkstone import eval as score, export, generate, load, predict, train, tune
from inkstone.errors import Interrupted
from inkstone.inference.engine import Engine, Heard, Request
from inkstone.inference.prefill import device_of
from inkstone.inference.quantisation import in_precision
from inkstone.inference.sampling import Sampling
from inkstone.inference.slotted import slotted
from inkstone.inference.writing import write_texts
from inkstone.layers.cross_entropy import linear_cross_entropy, token_nats
from inkstone.models import FAMILIES, family
from inkstone.tasks.fuse_language_model import fuse_language_model
from inkstone.tasks.language_modelling import training_loss
from inkstone.tokens.batches import PackedBatches
from inkstone.training.loop import Loop, on_device
from tasks import conversations, made_speech
from tasks.test_translate import written as written_pairs
from training.small_runs import prose, small_decoder, small_shards
from training.test_tuning import write_examples

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

TINY = ["train.steps=60", "train.batch_tokens=256", "model.width=64", "tokenizer.vocab_size=300", "train.device=cuda"]
TUNED = ["train.steps=80", "train.learning_rate=0.004", "model.width=64", "task.rows=16", "train.device=cuda"]
LAYOUTS = ("qwen3", "llama", "gpt2")
GREEDY = {"temperature": 0.0, "max_tokens": 24}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(prose(60_000), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def decoder_run(text, tmp_path_factory):
    """A decoder that was trained on the GPU, in bfloat16."""
    out = tmp_path_factory.mktemp("decoder") / "run"
    outcome = train(
        [text], out=out, settings=[*TINY, "train.dtype=bfloat16", "model.context=64", "model.n_layers=2"], quiet=True
    )
    return out, outcome


def both(layout="qwen3", **settings):
    """The same small decoder on the CPU and on the GPU."""
    model = small_decoder(layout=layout, n_kv_heads=2 if layout == "gpt2" else 1, context=64, **settings).eval()
    for weight in model.parameters():  # a fresh one is the identity in every block
        if weight.dim() == 2 and not bool(weight.any()):
            torch.nn.init.normal_(weight, 0, 0.1, generator=torch.Generator().manual_seed(1))
    other = type(model)(model.settings, model.tokenizer)
    other.load_state_dict(model.state_dict())
    return model, other.to("cuda").eval()


def test_a_decoder_that_was_trained_on_the_gpu_writes_the_same_on_the_cpu(decoder_run):
    folder, outcome = decoder_run
    assert outcome["bits_per_byte"] < 4
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    assert facts["machine"]["device"] == "cuda" and facts["machine"]["name"] == torch.cuda.get_device_name()
    here, there = (
        generate(folder, "Anbe", device=device, precision="float32", **GREEDY)[0] for device in ("cpu", "cuda")
    )
    assert here.ids == there.ids
    np.testing.assert_allclose(here.log_probabilities, there.log_probabilities, atol=1e-3)


def test_a_run_of_the_gpu_is_scored_and_exported_anywhere(decoder_run, text, tmp_path):
    folder, _ = decoder_run
    here, there = (score(folder, [text], device=device)["bits_per_byte"] for device in ("cpu", "cuda"))
    assert here == pytest.approx(there, rel=1e-3)
    exported = export(folder, "hf", out=tmp_path / "hf")
    found = [generate(path, "Anbe", device="cpu", **GREEDY)[0].ids for path in (exported, folder)]
    assert found[0] == found[1]


def test_a_run_on_the_gpu_is_gone_on_with_after_a_stop(text, tmp_path):
    settings = [*TINY, "train.checkpoint_steps=10", "model.n_layers=1", "model.context=32", "model.dropout=0.1"]
    whole = train([text], out=tmp_path / "whole", settings=settings, quiet=True)
    step, stopped = Loop.step, []

    def stopping(self, factor):
        if self.position.step == 25 and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt
        return step(self, factor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "step", stopping)
        with pytest.raises((KeyboardInterrupt, Interrupted)):
            train([text], out=tmp_path / "stopped", settings=settings, quiet=True)
    other = train(resume=tmp_path / "stopped", quiet=True)
    # Sums on a GPU come in any order, so that two runs agree closely and not bit for bit.
    assert other["bits_per_byte"] == pytest.approx(whole["bits_per_byte"], rel=0.02)


@pytest.mark.parametrize("name", [name for name in FAMILIES if not hasattr(family(name).Settings, "for_text")])
def test_a_family_learns_on_the_gpu_and_writes_there(name, text, tmp_path):
    outcome = train([text], family=name, out=tmp_path / "run", settings=[*TINY, "train.steps=20"], quiet=True)
    assert np.isfinite(outcome["bits_per_byte"])
    sampled = generate(tmp_path / "run", "Anbe", samples=2, max_tokens=8, device="cuda", seed=1)
    assert len(sampled) == 2 and all(len(each.ids) <= 8 for each in sampled)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_log_probabilities_and_gradients_are_those_of_the_cpu(layout, tmp_path):
    here, there = both(layout)
    batch = PackedBatches(small_shards(tmp_path), context=32, rows=4, seed=0).batch(0)
    losses = []
    for model in (here, there):
        device = model.embedding.weight.device
        loss = training_loss(model, on_device(batch, device), torch.Generator(), 0.5)
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for name, weight in here.named_parameters():
        torch.testing.assert_close(
            dict(there.named_parameters())[name].grad.cpu(), weight.grad, rtol=1e-3, atol=1e-4, msg=name
        )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_way_to_write_gives_the_texts_of_the_cpu(layout):
    here, there = both(layout, width=32, hidden=64)
    for how in (
        {"temperature": 0.0},
        {"samples": 3, "temperature": 0.9, "top_p": 0.9, "seed": 4, "repetition_penalty": 1.1},
        {"beams": 3, "samples": 2},
        {"temperature": 0.0, "draft": "lookup"},
        {"temperature": 0.0, "regex": "[a-z ]{4,12}"},
    ):
        found = [generate(model, "some text", max_tokens=20, **how) for model in (here, there)]
        assert [each.ids for each in found[0]] == [each.ids for each in found[1]], how


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_rounded_weights_mean_the_same_on_the_gpu_and_write_there(layout, precision):
    here, there = (in_precision(model, precision) for model in both(layout, width=32, hidden=64))
    ids = torch.tensor([byte_tokenizer().encode("some text")])
    scores = [model.step(ids.to(device_of(model)), model.start(1))[0].cpu() for model in (here, there)]
    torch.testing.assert_close(*scores, rtol=1e-3, atol=1e-3)
    written = generate(there, "some text", temperature=0.0, max_tokens=20, ends=())[0]
    assert len(written.ids) == 20


def test_endless_text_and_a_draft_model():
    here, there = both()
    draft, draft_there = both(width=16)
    for ways in ({"endless": True, "max_tokens": 100}, {"max_tokens": 40, "draft": (draft, draft_there)}):
        found = []
        for number, model in enumerate((here, there)):
            own = {name: value[number] if isinstance(value, tuple) else value for name, value in ways.items()}
            found.append(generate(model, "some text", temperature=0.0, **own)[0].ids)
        assert found[0] == found[1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_engine_writes_the_texts_of_the_cpu(layout):
    prompts = [tuple(byte_tokenizer().encode(text[:20])) for text in texts(9, seed=5)]
    found = []
    for model in both(layout):
        engine, heard, errors = Engine(slotted(model, 4, 64)), [[] for _ in prompts], []
        for prompt, own in zip(prompts, heard, strict=True):

            def hear(said: Heard, own=own, errors=errors) -> None:
                own.extend(said.ids)
                errors.extend([said.error] if said.error is not None else [])

            engine.submit(Request(prompt, Sampling(temperature=0.0, max_tokens=12)), hear)
        for _ in range(500):
            if not engine.step():
                break
        assert not errors
        found.append(heard)
    assert found[0] == found[1] and all(found[0])


@pytest.mark.parametrize("beams", [1, 4])
def test_an_encoder_decoder_writes_the_texts_of_the_cpu(beams):
    kind, tokenizer = family("encoder_decoder"), byte_tokenizer()
    model = kind(kind.Settings.of_size(tokenizer.vocab_size, 32, 2), tokenizer).initialise(
        torch.Generator().manual_seed(0)
    )
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, 0, 0.2, generator=torch.Generator().manual_seed(1))
    sources = [tokenizer.encode(text[:30]) for text in texts(7, seed=2)]
    found = []
    for device in ("cpu", "cuda"):
        written = write_texts(model.to(device).eval(), sources, max_tokens=12, beams=beams, no_repeat_ngram=3)
        found.append([[each.ids for each in own] for own in written])
    assert found[0] == found[1]


def test_cross_entropy_of_the_gpu_is_that_of_the_cpu():
    draw = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(300, 16, generator=draw), torch.randn(5000, 16, generator=draw)
    targets = torch.randint(5000, (300,), generator=draw)
    for loss in (linear_cross_entropy, lambda h, w, t: token_nats(h, w, t).mean()):
        found = []
        for device in ("cpu", "cuda"):
            h, w = (x.detach().to(device).requires_grad_() for x in (hidden, weight))
            value = loss(h, w, targets.to(device))
            value.backward()
            found.append([x.detach().cpu() for x in (value, h.grad, w.grad)])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_classify_learns_and_answers_on_both(tmp_path):
    outcome = tune(
        "classify", [write_examples(tmp_path / "train.csv")], test=[write_examples(tmp_path / "test.csv", 40, seed=1)],
        settings=[*TUNED, "model.n_layers=1", "tokenizer.vocab_size=300"], out=tmp_path / "run", quiet=True,
    )  # fmt: skip
    assert outcome["figures"]["test"]["accuracy"]["value"] > 0.9
    asked = ["this film number 6 is great in every way", "this film number 7 is awful in every way"]
    answers = [predict(tmp_path / "run", asked, device=device) for device in ("cpu", "cuda")]
    assert [[each["label"] for each in own] for own in answers] == [["good", "bad"]] * 2


@pytest.mark.parametrize("family", ["encoder_decoder", "decoder"])
def test_translations_are_learned(family, tmp_path):
    files = {
        part: written_pairs(tmp_path, part, number, seed)
        for seed, (part, number) in enumerate({"train": 300, "test": 20}.items())
    }
    settings = [*TUNED, "train.steps=200", "model.n_layers=2", "tokenizer.vocab_size=400", "model.dropout=0"]
    outcome = tune(
        "translate",
        files["train"],
        test=files["test"],
        family=family,
        settings=settings,
        out=tmp_path / "run",
        quiet=True,
    )
    assert outcome["figures"]["test"]["BLEU"]["value"] > 0.5
    answers = [predict(tmp_path / "run", ["Tom has a red stone."], device=device) for device in ("cpu", "cuda")]
    assert answers[0][0]["translation"] == answers[1][0]["translation"]


def test_speech_is_heard_and_a_language_model_is_asked(text, tmp_path):
    files = {
        part: made_speech.written(tmp_path / part, number, seed)
        for seed, (part, number) in enumerate({"train": 60, "dev": 10}.items())
    }
    settings = ["model.width=32", "model.n_layers=1", "train.steps=40", "task.rows=8", "train.device=cuda"]
    tune("transcribe", [files["train"]], dev=[files["dev"]], settings=settings, out=tmp_path / "run", quiet=True)
    sound = str(tmp_path / "dev" / "0.wav")
    answers = [predict(tmp_path / "run", [sound], device=device) for device in ("cpu", "cuda")]
    assert answers[0][0]["text"] == answers[1][0]["text"]
    train([text], out=tmp_path / "language", settings=[*TINY, "train.steps=10", "model.n_layers=1"], quiet=True)
    fuse_language_model(tmp_path / "run", tmp_path / "language", [files["dev"]], device="cuda")
    assert "WER" in score(tmp_path / "run", [files["dev"]], device="cuda")["figures"]


def test_conversations_are_learned_and_the_answer_is_the_same_on_both(tmp_path):
    outcome = tune(
        "chat", [conversations.written(tmp_path / "talks.jsonl", 200, 0)],
        settings=[*conversations.SMALL, *conversations.STEPS[:3], "train.steps=120", "train.device=cuda"],
        out=tmp_path / "run", quiet=True,
    )  # fmt: skip
    assert outcome["figures"]["dev"]["answer loss"]["value"] < 1.0
    asked = [{"messages": conversations.talk(np.random.default_rng(7))[:2]}]
    answers = [predict(tmp_path / "run", asked, device=device) for device in ("cpu", "cuda")]
    assert answers[0] == answers[1]


def test_a_run_of_the_gpu_is_adapted_there(decoder_run, tmp_path):
    other = tmp_path / "new.txt"
    other.write_text(prose(40_000, seed=9), encoding="utf-8")
    given = ["train.steps=20", "train.device=cuda"]
    outcome = tune(
        "language-modelling", [str(other)], model=decoder_run[0], settings=given, out=tmp_path / "run", quiet=True
    )
    assert np.isfinite(outcome["bits_per_byte"])


def test_weights_of_every_type_stay_where_they_are(decoder_run):
    for precision, device in itertools.product(("float32", "bfloat16"), ("cuda",)):
        model = load(decoder_run[0], device=device)
        assert {weight.device.type for weight in model.parameters()} == {device}
        assert generate(model, "Anbe", precision=precision, **GREEDY)[0].ids
