"""Checkpoints of BERT that are tuned here, and opened by transformers and peft again: the same answers."""

import csv
import itertools
import json

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertForPreTraining,
)

from hub.test_bert_tasks import checkpoint
from inkstone import load, predict, tune
from inkstone.errors import RunError
from inkstone.hub.export import export
from inkstone.run import Run

STEPS = ["train.steps=6", "task.rows=8", "train.learning_rate=0.01", "task.yardstick=false"]
NAMES = ("anna", "ben")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    checkpoint(folder, BertForPreTraining, BertConfig)
    return folder


def tuned(task, data, base, out, *settings):
    tune(task, [str(data)], model=base, settings=[*STEPS, *settings], out=out, quiet=True)
    choices = {choice["name"]: choice for choice in Run(out).facts()["plan"]["choices"]}
    return choices


def reviews(path):
    words = {"good": ("fine", "lovely"), "bad": ("dull", "awful")}
    rows = [(f"this film {number} is {words[label][number % 2]}", label) for number in range(20) for label in words]
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def test_a_classifier_with_low_rank_changes_answers_the_same_in_transformers_and_peft(base, tmp_path):
    choices = tuned("classify", reviews(tmp_path / "train.csv"), base, tmp_path / "run", "task.lora_rank=2")
    assert choices["pooling"]["value"] == "first, through a dense layer"
    assert choices["head"]["why"].endswith(": its dense layer")
    folder = export(tmp_path / "run")
    theirs = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = ["this film is fine", "it is an awful film in every way", "who saw it"]
    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    chances = theirs(**tokens).logits.softmax(-1).detach()
    answers = predict(tmp_path / "run", texts)
    assert [theirs.config.id2label[int(best)] for best in chances.argmax(-1)] == [a["label"] for a in answers]
    expected = [[answer["probabilities"][theirs.config.id2label[i]] for i in (0, 1)] for answer in answers]
    torch.testing.assert_close(chances, torch.tensor(expected), rtol=0, atol=1e-4)

    adapter = export(tmp_path / "run", to="peft")
    assert adapter.name == "run-peft" and json.loads((adapter / "adapter_config.json").read_text())["r"] == 2
    changed = PeftModel.from_pretrained(AutoModelForMaskedLM.from_pretrained(base), adapter).eval()
    ids = tokens["input_ids"][1:2]
    states = changed(ids, output_hidden_states=True).hidden_states[-1].detach()
    torch.testing.assert_close(load(tmp_path / "run").body.encode(ids).detach(), states, rtol=0, atol=1e-4)
    assert not torch.allclose(load(base).encode(ids), states, atol=1e-3)
    with pytest.raises(RunError, match="leave out --dtype"):
        export(tmp_path / "run", to="peft", out=tmp_path / "other", dtype="float16")


@pytest.mark.slow
def test_a_tagger_says_the_same_in_transformers(base, tmp_path):
    kinds = {"this": "DET", "film": "NOUN", "is": "VERB", "fine": "ADJ", "anna": "NOUN", "saw": "VERB", "it": "PRON"}
    sentences = [
        list(words) for words in itertools.product(("this", "film", "it"), ("is", "saw"), ("fine", "anna", "it"))
    ]
    lines = ["\n".join(f"{word}\t{kinds[word]}" for word in sentence) for sentence in sentences]
    (tmp_path / "train.conll").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    tuned("tag", tmp_path / "train.conll", base, tmp_path / "run")
    folder = export(tmp_path / "run")
    theirs = AutoModelForTokenClassification.from_pretrained(folder).eval()
    words = ["anna", "saw", "this", "lovely", "film"]
    tokens = AutoTokenizer.from_pretrained(folder)(words, is_split_into_words=True, return_tensors="pt")
    best, firsts = theirs(**tokens).logits[0].argmax(-1), [tokens.word_ids().index(at) for at in range(len(words))]
    said = [theirs.config.id2label[int(best[first])] for first in firsts]
    assert said == predict(tmp_path / "run", [words])[0]["tags"]


@pytest.mark.slow
def test_an_answer_is_the_same_stretch_in_transformers(base, tmp_path):
    records = []
    for number in range(24):
        name, other = NAMES[number % 2], NAMES[(number + 1) % 2]
        context = f"in every way {name} saw it {'this way ' * (number % 3)}is {other} in it"
        answer = {"text": name, "answer_start": context.index(name)}
        records.append({"id": str(number), "question": "who saw it", "context": context, "answers": [answer]})
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    tuned("answer", tmp_path / "train.jsonl", base, tmp_path / "run")
    folder = export(tmp_path / "run")
    theirs = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    question, context = "who saw it", "this film ben saw in this way it is anna"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
    assert tokens["token_type_ids"].max() == 1
    places = tokens.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        out = theirs(**tokens)
    inside = [at for at, side in enumerate(tokens.sequence_ids()) if side == 1]
    pairs = [(first, last) for first in inside for last in inside if first <= last]
    scores = {(a, b): float(out.start_logits[0, a] + out.end_logits[0, b]) for a, b in pairs}
    answer = predict(tmp_path / "run", [[question, context]])[0]
    told = next(pair for pair in pairs if (places[pair[0]][0], places[pair[1]][1]) == (answer["start"], answer["stop"]))
    assert scores[told] == pytest.approx(max(scores.values()), abs=1e-4)


def test_a_run_without_low_rank_changes_has_no_adapter(base, tmp_path):
    with pytest.raises(RunError, match=r"has no low-rank changes; tune --from a model with task\.lora_rank"):
        export(base, to="peft", out=tmp_path / "out")
