"""Every recipe of examples/ as a person runs it: on small data made here, and on a part of the mirror where there is one."""

import csv
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from inference.decoders import byte_tokenizer, decoder
from inkstone.hub.folder import save
from inkstone.tasks import TASKS
from inkstone.tasks.predict import predict
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.training.tuning import tune
from tasks.made_speech import RATE, say

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SMALL = ["train.threads=1", "train.device=cpu"]
NAMES, PLACES, VERBS = ["Anna", "Ben", "Carl", "Dora"], ["Rome", "Oslo", "Lima"], ["visits", "leaves", "praises"]


def draws(seed, count):
    """Small sentences: who does what where, and whether that is good."""
    draw = np.random.default_rng(seed)
    for _ in range(count):
        yield [str(draw.choice(words)) for words in (NAMES, VERBS, PLACES, ["gladly", "sadly"])]


def classify_data(path, seed):
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        rows.writerows([" ".join(words), words[3]] for words in draws(seed, 150))


def tag_data(path, seed):
    blocks = (
        "".join(f"{w}\t{t}\n" for w, t in zip(words, ["B-PER", "O", "B-LOC", "O"], strict=True))
        for words in draws(seed, 150)
    )
    path.write_text("\n".join(blocks), encoding="utf-8")


def roles_data(path, seed):
    roles = [
        {"tokens": [0, 1], "label": "ARG0"},
        {"tokens": [2, 3], "label": "ARG1"},
        {"tokens": [3, 4], "label": "ARGM-MNR"},
    ]
    rows = ({"tokens": words, "predicates": [{"token": 1, "roles": roles}]} for words in draws(seed, 150))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def answer_data(path, seed):
    paragraphs = []
    for number, words in enumerate(draws(seed, 60)):
        context = f"It is said that {' '.join(words)}."
        qas = [
            {
                "id": f"{number}-{at}",
                "question": f"{asked} is it?",
                "answers": [{"text": words[at], "answer_start": context.index(words[at])}],
            }
            for at, asked in ((0, "Who"), (2, "Where"))
        ]
        paragraphs.append({"context": context, "qas": qas})
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}), encoding="utf-8")


def embed_data(path, seed):
    sentences = enumerate(draws(seed, 150))
    rows = (
        f"{name} {verb} {place} {at}\t{at} {place} {verb} {name} {how}\n" for at, (name, verb, place, how) in sentences
    )
    path.write_text("query\tpositive\n" + "".join(rows), encoding="utf-8")


def summarize_data(path, seed):
    rows = (
        {"article": f"It is said that {name} {verb} {place} {how}. Nobody knows.", "summary": f"{name} {verb} {place}"}
        for name, verb, place, how in draws(seed, 150)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def translate_data(path, seed):
    rows = (
        f"{name} {verb} {place} {how}.\tEs heißt, dass {name} die Stadt {place} {how}.\n"
        for name, verb, place, how in draws(seed, 150)
    )
    path.write_text("".join(rows), encoding="utf-8")


def transcribe_data(path, seed):
    """One of two letters, each a sound of its own, and one recording to ask about."""
    draw, rows = np.random.default_rng(seed), []
    for number in range(100):
        said = str(draw.choice(["a", "c"]))
        rows.append(f"{path.stem}-{number}.wav\t{said}\n")
        soundfile.write(path.parent / f"{path.stem}-{number}.wav", say(said, draw), RATE)
    path.write_text("".join(rows), encoding="utf-8")


def chat_data(path, seed):
    rows = (
        {"instruction": f"{name} {verb} {place} {how}. Is that good?", "output": "Yes." if how == "gladly" else "No."}
        for name, verb, place, how in draws(seed, 150)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def extract_data(path, seed):
    rows = (
        {"text": f"{name} {verb} {place} {how}.", "record": {"who": name, "where": place, "glad": how == "gladly"}}
        for name, verb, place, how in draws(seed, 150)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def prefer_data(path, seed):
    rows = (
        {"prompt": f"{name} {verb} {place}, and how?", "chosen": how, "rejected": f"{name}? No idea."}
        for name, verb, place, how in draws(seed, 60)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def answering_model(folder):
    """What prefer begins at: here a model that has learned nothing, with a chat template."""
    save(decoder(vocab_size=byte_tokenizer().vocab_size, n_layers=1), folder, ChatTemplate.chatml(byte_tokenizer()))
    return folder


# A recipe for hours learns little in sixty steps as it stands.
MORE = {"translate": ["train.learning_rate=0.01", "train.batch_tokens=512", "model.dropout=0"]}
BEGINS_AT = {"prefer": answering_model}

# By task: who writes the data, the ending of their file, a question, and the figure that must be passed.
MADE = {
    "classify": (classify_data, "csv", "Anna visits Oslo gladly", ("accuracy", 0.9)),
    "tag": (tag_data, "conll", "Ben leaves Rome sadly", ("span F1", 0.9)),
    "roles": (roles_data, "jsonl", "Ben leaves Rome sadly", ("role F1", 0.9)),
    "answer": (answer_data, "json", ["Who is it?", "It is said that Ben leaves Rome sadly."], ("F1", 0.05)),
    "embed": (embed_data, "tsv", "Ben leaves Rome", ("recall@10", 0.2)),
    "transcribe": (transcribe_data, "tsv", lambda folder: str(folder / "dev-0.wav"), ("word accuracy", 0.4)),
    "summarize": (summarize_data, "jsonl", "It is said that Ben leaves Rome sadly.", ("ROUGE-L", 0.05)),
    "translate": (translate_data, "tsv", "Ben leaves Rome sadly.", ("BLEU", 0.05)),
    "chat": (chat_data, "jsonl", "Ben leaves Rome sadly. Is that good?", ("exact match", 0.3)),
    "extract": (extract_data, "jsonl", "Ben leaves Rome sadly.", ("field F1", 0.2)),
    "prefer": (prefer_data, "jsonl", "Ben leaves Rome, and how?", ("reward accuracy", 0.9)),
}


def test_every_task_has_a_recipe():
    # That of language modelling goes on with a model: test_adapting.py.
    assert {path.stem for path in EXAMPLES.glob("*.toml")} == {*TASKS, "language-modelling"}
    assert set(TASKS) == set(MADE)


@pytest.mark.parametrize("task", MADE)
def test_a_recipe_learns_from_a_file_as_its_first_lines_say(tmp_path, task):
    write, ending, question, (score, least) = MADE[task]
    question = question(tmp_path) if callable(question) else question
    train, dev = tmp_path / f"train.{ending}", tmp_path / f"dev.{ending}"
    write(train, 0)
    write(dev, 1)
    recipe = EXAMPLES / f"{task}.toml"
    assert tomllib.loads(recipe.read_text(encoding="utf-8"))["task"]["name"] == task
    model = BEGINS_AT[task](tmp_path / "base") if task in BEGINS_AT else None
    outcome = tune(
        task, [str(train)], model=model, dev=[str(dev)], recipe=recipe, out=tmp_path / "run", quiet=True,
        settings=[*SMALL, "train.steps=60", "model.width=32", *MORE.get(task, ())],
    )  # fmt: skip
    assert outcome["task"] == task and outcome["figures"]["dev"][score]["value"] > least
    (answer,) = predict(tmp_path / "run", [question], device="cpu")
    assert answer["input"] == question
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {
        "report.html",
        "errors.html",
        "recipe.toml",
        "model.safetensors",
    }


REAL = {
    "classify": "sentiment-chnsenticorp/dev.tsv.xz",
    "tag": "ner-weibo/dev.conll.xz",
    "roles": "srl-zh-gsd/zh_gsd-up-dev.conllup.xz",
    "answer": "qa-cmrc2018/cmrc2018_trial.json.xz",
    "embed": "qa-cmrc2018/cmrc2018_trial.json.xz",
    "summarize": "summ-scitldr-a/dev.jsonl.xz",
    "chat": "instruct-oasst-zh/oaast_sft_zh.jsonl.xz",
}


@pytest.mark.slow
@pytest.mark.parametrize("task", REAL)
def test_a_recipe_runs_on_data_of_the_mirror(tmp_path, data_mirror, task):
    outcome = tune(
        task, [str(data_mirror / REAL[task])], recipe=EXAMPLES / f"{task}.toml", out=tmp_path / "run", quiet=True,
        settings=[*SMALL, "train.steps=20", "model.width=32", "task.yardstick=false", *(["model.context=64"] if task in ("embed", "summarize", "chat") else [])],
    )  # fmt: skip
    assert outcome["steps"] == 20 and outcome["examples"]["dev"] > 0
    assert all(
        figure["value"] >= 0 and (figure["value"] <= 1 or "unit" in figure)
        for figure in outcome["figures"]["dev"].values()
        if figure["value"] is not None
    )
