"""Chat: what is learned is the answers alone, packed without leakage; the same tokens everywhere; and a small model that learns to answer."""

import io
import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from inference.decoders import byte_tokenizer, decoder
from inkstone.cli import main
from inkstone.errors import RecipeError, RunError, TextError
from inkstone.hub.export import export
from inkstone.hub.folder import load, save
from inkstone.inference.conversation import chat
from inkstone.models.decoder import Decoder
from inkstone.models.headed import Headed
from inkstone.run import Run
from inkstone.tasks.chat import Chat, Heard
from inkstone.tasks.framing import Frame
from inkstone.tasks.predict import Predictor, predict
from inkstone.tasks.scoring import eval as score
from inkstone.tasks.understanding import Understanding
from inkstone.text.conversations import Dialogue
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.example_batches import collate
from inkstone.training.tuning import tune
from models.test_resized_decoder import without_turns

from .conversations import SMALL, STEPS, talk, written

QUESTION = [{"role": "system", "content": "The ink is red."}, {"role": "user", "content": "What is red?"}]


def ready(layout="qwen3", **settings):
    task = Chat(**settings)
    task.converse(byte_tokenizer(), None)
    return task, Headed(decoder(layout), task.head()).eval()


def dialogues(number=6):
    draw = np.random.default_rng(0)
    turns = [talk(draw) for _ in range(number)]
    return [Dialogue(f"here:{n}", messages[: 3 + 2 * (n % 2)]) for n, messages in enumerate(turns)]


def encoded(task, examples, context=10_000):
    return [each for of_one in task.encode(examples, Frame.of(byte_tokenizer(), context)) for each in of_one]


@pytest.mark.parametrize("layout", ["qwen3", "llama", "gpt2"])
def test_a_packed_batch_has_the_loss_and_gradients_of_its_conversations_one_by_one(layout):
    task, model = ready(layout)
    answer = {"role": "assistant", "content": "ink"}
    talks = [[{"role": "user", "content": text}, answer] for text in ("Why is it red?", "Why?", "What?")]
    inputs = encoded(task, [Dialogue("here", turns) for turns in (talks[0] * 2, talks[1], talks[2])])
    together = collate(inputs)
    assert together.ids.shape[0] < len(inputs)
    loss = task.loss(model, together, torch.Generator())
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    nats, tokens = torch.zeros(()), 0
    for each in inputs:
        ids = torch.tensor(each.ids)[None]
        nats_of_all = F.cross_entropy(model.body(ids)[0, :-1], ids[0, 1:], reduction="none")
        marks = torch.tensor(each.answers)[1:]
        nats, tokens = nats + nats_of_all[marks].sum(), tokens + int(marks.sum())
    torch.testing.assert_close(loss, nats / tokens)
    others = torch.autograd.grad(nats / tokens, list(model.parameters()), allow_unused=True)
    for one, other in zip(gradients, others, strict=True):
        if other is not None:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    value, count = task.nats(model, together)
    assert count == tokens and value == pytest.approx(float(nats), rel=1e-4)


def test_what_is_said_to_the_model_is_not_learned():
    task, _ = ready()
    (one,) = encoded(task, dialogues(1))
    template = task.template_of()
    learned = template.tokenizer.decode(one.ids[one.answers], special=True)
    assert learned == dialogues(1)[0].messages[-1]["content"] + "<|im_end|>"


def test_figures_are_of_the_answers_alone():
    task = Chat(short=True)
    heard = [Heard(6.0, 3, 4, "ink", "ink"), Heard(2.0, 1, 8, None, "a long answer"), Heard(4.0, 4, 4, "no", "ink")]
    examples = dialogues(3)
    answers = [task.answer(example, [each]) for example, each in zip(examples, heard, strict=True)]
    values = {name: measure.value for name, measure in task.measures(examples, answers).items()}
    assert values == {
        "answer loss": pytest.approx(12 / 8),
        "perplexity": pytest.approx(math.exp(12 / 8)),
        "bits per byte": pytest.approx(12 / 16 / math.log(2)),
        "exact match": 0.5,
    }
    assert list(Chat(short=False).measures(examples, answers)) == ["answer loss", "perplexity", "bits per byte"]
    rows = task.mistakes(examples, answers)
    assert [row["right"] for row in rows] == [True, False, False] and rows[1]["score"] == pytest.approx(math.exp(-2))


def test_whether_answers_are_short_is_told_by_the_training_part():
    task = Chat()
    task.learn(dialogues())
    assert task.short
    long = [Dialogue("here", [*QUESTION, {"role": "assistant", "content": "ink " * 30}])] * 9
    task = Chat()
    task.learn(long)
    assert not task.short


def test_doubtful_conversations_are_named(tmp_path):
    rows = [
        {"messages": talk(np.random.default_rng(0))},
        {"messages": [{"role": "user", "content": "Why?"}, {"role": "user", "content": "Why?"}]},
        {"instruction": "Say ink.", "output": ""},
        {"instruction": "Say ink.", "output": "ink"},
        {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}, {"from": "human", "value": "?"}]},
    ]  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    understanding = Understanding("train", [str(path)])
    assert [len(each.messages) for each in Chat().read([str(path)], understanding)] == [5, 2, 2]
    assert "a question without an answer" in str(understanding.refused) and "the last question has no answer" in str(
        understanding.mended
    )


def test_what_may_be_asked():
    task = Chat()
    given = ["Why?", QUESTION, {"messages": talk(np.random.default_rng(0))}, {"instruction": "Say", "input": "ink"}]
    asked = task.asked(given)
    assert [each.messages[-1]["role"] for each in asked] == ["user"] * 4
    assert asked[2].messages[-1]["content"] == "And the moon?" and asked[3].messages[0]["content"] == "Say\nink"
    for wrong in (3, [], [{"role": "robot", "content": "x"}], [{"role": "assistant", "content": "x"}], ""):
        with pytest.raises(TextError, match="input 1"):
            task.asked([wrong])


def test_settings_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="exact = -1"):
        Chat(exact=-1)
    with pytest.raises(RecipeError, match="no setting"):
        Chat.of({"beams": 4})
    with pytest.raises(RunError, match="no chat template yet"):
        Chat().template_of()
    data = written(tmp_path / "train.jsonl", 30, 0)
    few = ["train.steps=1", *SMALL[:2], "tokenizer.vocab_size=300"]
    with pytest.raises(
        RecipeError, match="'recurrent' cannot be tuned for a task that goes on with a text; take a decoder"
    ):
        tune("chat", [data], family="recurrent", settings=few, out=tmp_path / "a", quiet=True)
    with pytest.raises(RecipeError, match="no head beside the body"):
        tune("chat", [data], settings=[*few, "task.freeze=true"], out=tmp_path / "b", quiet=True)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat")
    train, test = written(folder / "train.jsonl", 300, 1), written(folder / "test.jsonl", 30, 2)
    settings = [*SMALL, *STEPS, "train.steps=160", "model.context=160"]
    outcome = tune("chat", [train], test=[test], settings=settings, out=folder / "run", quiet=True)
    return folder, outcome


def test_it_learns_to_answer_and_is_asked_as_a_person_does(tuned):
    folder, outcome = tuned
    figures = outcome["figures"]["test"]
    assert figures["answer loss"]["value"] < 0.3 and figures["answer loss"]["unit"] == "nats a token"
    assert figures["perplexity"]["value"] == pytest.approx(math.exp(figures["answer loss"]["value"]))
    assert figures["exact match"]["value"] == 1.0 and outcome["yardstick"] is None
    assert score(folder / "run", [folder / "test.jsonl"], device="cpu")["figures"] == figures
    (told,) = predict(folder / "run", [QUESTION], device="cpu")
    conversation = chat(folder / "run", system="The ink is red.", temperature=0.0, device="cpu")
    assert told["answer"] == "ink" == conversation.answer("What is red?")
    assert conversation.answer("And the moon?") == "yellow"
    plan = {choice["name"]: choice for choice in Run(folder / "run").facts()["plan"]["choices"]}
    assert "trained on text first" in plan["beginning"]["why"]
    report = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "And the moon?" in report and "dev_nats" in (folder / "run" / "metrics.jsonl").read_text()


def test_the_folder_is_that_of_a_language_model_with_the_same_tokens_and_text_in_transformers(tuned):
    folder, _ = tuned
    task = Predictor.load(folder / "run", "cpu").task
    out = export(folder / "run", out=folder / "exported")
    short = export(folder / "run", out=folder / "short", dtype="bfloat16")
    assert not (out / "task.json").exists() and load(out).family == "decoder"
    theirs = AutoTokenizer.from_pretrained(out)
    messages = [*QUESTION, {"role": "assistant", "content": "ink <|im_end|>? 墨"}, QUESTION[1]]
    template = ChatTemplate.of(out, load(out).tokenizer)
    spelled = [dict(message, content=message["content"].replace("<|im_end|>", "")) for message in messages]
    for prompt in (False, True):
        ids = theirs.apply_chat_template(spelled, add_generation_prompt=prompt)["input_ids"]
        assert ids == template.ids(spelled, add_generation_prompt=prompt)
    learned = Dialogue("here", talk(np.random.default_rng(3)))
    (inputs,) = task.encode([learned], Frame.of(template.tokenizer, 500))[0]
    assert inputs.ids.tolist() == theirs.apply_chat_template(learned.messages)["input_ids"]
    asked = task.encode(task.asked([QUESTION]), Frame.of(template.tokenizer, 500))[0][0].ids.tolist()
    assert asked == theirs.apply_chat_template(QUESTION, add_generation_prompt=True)["input_ids"]

    model = AutoModelForCausalLM.from_pretrained(out)
    ends = sorted(template.ends)
    for place in (out, short):
        assert json.loads((place / "generation_config.json").read_text())["eos_token_id"] == ends and len(ends) == 2
        assert (place / "chat_template.jinja").read_text() == (folder / "run" / "chat_template.jinja").read_text()
    for question in (QUESTION, learned.messages[:-1]):
        asked = theirs.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt")
        full = model.generate(**asked, do_sample=False, max_new_tokens=20)[0, asked["input_ids"].shape[1] :]
        assert int(full[-1]) in ends
        (told,) = predict(folder / "run", [question], device="cpu")
        assert theirs.decode(full, skip_special_tokens=True) == told["answer"]


def test_gguf_carries_the_template_and_the_end_of_a_turn(tuned):
    gguf = pytest.importorskip("gguf")
    folder, _ = tuned
    path = export(folder / "run", to="gguf", out=folder / "chat.gguf")
    fields = {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}
    template = ChatTemplate.of(folder / "run", load(folder / "run").tokenizer)
    assert fields["tokenizer.chat_template"] == template.source
    assert fields["tokenizer.ggml.eot_token_id"] == template.tokenizer.backend.token_to_id("<|im_end|>")


def test_it_goes_on_from_a_run_with_low_rank_changes_and_the_figures_before(tuned, tmp_path):
    folder, _ = tuned
    data = written(tmp_path / "more.jsonl", 40, 5)
    settings = [*STEPS, "train.steps=2", "task.lora_rank=2", "train.learning_rate=0.0001"]
    outcome = tune("chat", [data], model=folder / "run", settings=settings, out=tmp_path / "run", quiet=True)
    began, ended = outcome["yardstick"]["figures"]["dev"], outcome["figures"]["dev"]
    assert outcome["yardstick"]["name"] == "as it began" and began.keys() == ended.keys()
    assert ended["answer loss"]["value"] == pytest.approx(began["answer loss"]["value"], rel=0.2)
    assert (tmp_path / "run" / "adapter" / "adapter_config.json").exists()
    choices = {choice["name"]: choice["value"] for choice in Run(tmp_path / "run").facts()["plan"]["choices"]}
    assert choices["what learns"] == "changes of rank 2" and "fresh tokens" not in choices


@pytest.mark.parametrize("lora", [False, True])
def test_a_base_model_gets_the_tokens_of_turns_and_learns_them(tmp_path, lora):
    base = decoder("qwen3", context=64, vocab_size=byte_tokenizer().vocab_size)
    save(base, tmp_path / "base")
    data = written(tmp_path / "train.jsonl", 40, 5)
    settings = [*STEPS, "train.steps=3", *(["task.lora_rank=2"] if lora else [])]
    tune("chat", [data], model=tmp_path / "base", settings=settings, out=tmp_path / "run", quiet=True)
    choices = {choice["name"]: choice["value"] for choice in Run(tmp_path / "run").facts()["plan"]["choices"]}
    assert choices["fresh tokens"] == "<|im_start|>, <|im_end|>" and choices["longest text"] > 64
    assert not lora or choices["what learns"] == "changes of rank 2, and the rows of tokens"
    model = load(tmp_path / "run")
    end = model.tokenizer.backend.token_to_id("<|im_end|>")
    assert not torch.allclose(model.embedding.weight[end], base.embedding.weight.mean(0), atol=1e-4)
    assert model.settings.context == choices["longest text"]


def test_a_checkpoint_without_turns_grows_by_them_and_opens_in_transformers(tmp_path):
    tokenizer = without_turns()
    base = Decoder(replace(decoder("gpt2").settings, vocab_size=tokenizer.vocab_size, n_layers=1), tokenizer)
    save(base.initialise(torch.Generator().manual_seed(0)), tmp_path / "base")
    data = written(tmp_path / "train.jsonl", 30, 5)
    settings = [*STEPS, "train.steps=3", "task.lora_rank=2"]
    tune("chat", [data], model=tmp_path / "base", settings=settings, out=tmp_path / "run", quiet=True)
    model = load(tmp_path / "run")
    assert model.settings.vocab_size == tokenizer.vocab_size + 2 and model.settings.context == 96
    assert not (tmp_path / "run" / "adapter").exists()  # its rows would be others than those of the base
    theirs = AutoModelForCausalLM.from_pretrained(export(tmp_path / "run"))
    ids = torch.tensor([Predictor.load(tmp_path / "run").task.template_of().ids(QUESTION, add_generation_prompt=True)])
    torch.testing.assert_close(theirs(ids).logits, model(ids), rtol=1e-4, atol=1e-4)


def test_a_conversation_that_is_cut_is_named(tmp_path):
    data = written(tmp_path / "train.jsonl", 30, 0)
    settings = [*SMALL, *STEPS, "train.steps=1", "model.context=40"]
    tune("chat", [data], settings=settings, out=tmp_path / "run", quiet=True)
    notices = Run(tmp_path / "run").facts()["data"]["train"]["notices"]
    assert any("longer than the context of 40 tokens and cut" in notice for notice in notices)


def test_the_commands_open_it_as_a_language_model_and_as_a_task(tuned, monkeypatch, capsys):
    folder, _ = tuned
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"What is red?\n"), encoding="utf-8"))
    assert main(["chat", str(folder / "run"), "--system", "The ink is red.", "--temperature", "0"]) == 0
    assert "ink" in capsys.readouterr().out
    assert main(["eval", str(folder / "run"), str(folder / "test.jsonl")]) == 0
    assert "answer loss" in capsys.readouterr().out
    plain = folder / "plain.txt"
    plain.write_text("The ink is red. The stone is black. " * 20, encoding="utf-8")
    assert main(["eval", str(folder / "run"), str(plain), "--no-yardsticks"]) == 0
    assert "perplexity" in (told := capsys.readouterr().out) and "answer loss" not in told
    assert main(["generate", str(folder / "run"), "The ink", "--max-tokens", "3"]) == 0
