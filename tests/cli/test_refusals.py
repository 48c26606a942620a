"""What is mistyped is said before anything is measured, read as a whole, or opened, by every verb that takes it."""

import importlib
import pkgutil

import pytest

import inkstone
from inference.decoders import decoder
from inkstone.cli import main
from inkstone.hub.folder import save

DATA = "text,label\n" + "".join(f"the ink is {n},{'ab'[n % 2]}\n" for n in range(40))
EXPENSIVE = ("measure_machine", "load", "read_parts", "clean_batches")  # what must not have begun
CASES = [
    (["train", "no-such.txt"], "no-such.txt: no such file"),
    (["train", "a.csv", "--held-out", "no-such.txt"], "no-such.txt: no such file"),
    (["train", "data:no-such-set"], "no-such-set"),
    (["train", "a.csv", "--set", "tokenizer.path=no-such"], "no-such"),
    (["train", "a.csv", "--set", "train.device=gpu7"], "gpu7"),
    (["tune", "classify", "no-such.csv"], "no-such.csv: no such file"),
    (["tune", "classify", "a.csv", "--dev", "no-such.csv"], "no-such.csv: no such file"),
    (["tune", "classify", "a.csv", "--test", "no-such.csv"], "no-such.csv: no such file"),
    (["tune", "classify", "a.csv", "--from", "no-such-run"], "no-such-run does not exist"),
    (["tune", "classify", "a.csv", "--from", "empty"], "empty"),
    (["tune", "prefer", "a.csv"], "prefer needs a model that answers already"),
    (["tune", "language-modelling", "a.csv", "--from", "no-such-run"], "no-such-run does not exist"),
    (["tune", "language-modelling", "no-such.txt", "--from", "model"], "no-such.txt: no such file"),
    (["tune", "language-modelling", "a.csv", "--from", "model", "--set", "task.replay_text=no-such"], "no-such"),
    (["adapt", "no-such-run"], "no-such-run does not exist"),
    (["adapt", "model", "--from", "no-such.sqlite"], "no-such.sqlite: no marks are there"),
    (["adapt", "model", "--minutes", "-1", "--from", "a.csv"], "--minutes"),
    (["adapt", "model", "--set", "train.sed=1", "--from", "a.csv"], "train.sed"),
    (["quantise", "model", "--bits", "8", "--text", "no-such.txt"], "no-such.txt: no such file"),
    (["export", "model", "--to", "gguf", "--dtype", "int8"], "there is no dtype 'int8' of the format 'gguf'"),
    (["export", "model", "--to", "gguf", "--out", "a.csv"], "a.csv already exists"),
    (["export", "no-such-run"], "no-such-run"),
    (["serve", "model", "no-such-run", "--port", "0"], "no-such-run does not exist"),
    (["serve", "model", "--engine", "lama.cpp"], "lama.cpp"),
    (["eval", "model", "no-such.txt"], "no-such.txt: no such file"),
    (["eval", "no-such-run", "a.csv"], "no-such-run does not exist"),
    (["predict", "model", "--file", "no-such.txt"], "no-such.txt: no such file"),
    (["predict", "model", "ink", "--context", "no-such.txt"], "no-such.txt: no such file"),
    (["generate", "model", "ink", "--temperature", "-1"], "temperature"),
    (["generate", "model", "ink", "--json-schema", "no-such.json"], "no-such.json"),
    (["generate", "model", "ink", "--draft", "no-such-run"], "no-such-run does not exist"),
    (["generate", "model", "ink", "--draft", "lokup"], "the draft lokup does not exist"),
    (["generate", "model", "ink", "--draft", "lokup"], "a draft is lookup, ngram or a run"),
    (["generate", "model", "ink", "--draft", "ngram"], "holds no training text"),
    (["generate", "model", "ink", "--draft", "lookup", "--draft-tokens", "0"], "draft_tokens"),
    (["chat", "no-such-run"], "no-such-run does not exist"),
    (["chat", "model", "--top-p", "0"], "top_p"),
    (["chat", "model", "--draft", "no-such-run"], "no-such-run does not exist"),
    (["chat", "model", "--draft", "lookup", "--draft-tokens", "0"], "draft_tokens"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a text, a model, and an empty folder."""
    place = tmp_path_factory.mktemp("typed")
    (place / "a.csv").write_text(DATA, encoding="utf-8")
    (place / "empty").mkdir()
    save(decoder(), place / "model")
    (place / "model" / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def modules():
    """All modules, those loaded that need no extra."""
    found = []
    for each in pkgutil.walk_packages(inkstone.__path__, "inkstone."):
        if not each.name.endswith("__main__"):
            found.append(importlib.import_module(each.name))
    return found


@pytest.mark.parametrize(("words", "told"), CASES, ids=[" ".join(words) for words, _ in CASES])
def test_a_mistake_is_said_before_any_work(place, modules, monkeypatch, capsys, words, told):
    monkeypatch.chdir(place)

    def begun(*arguments, **settings):
        raise AssertionError("work has begun")

    for module in modules:
        for name in EXPENSIVE:
            if callable(getattr(module, name, None)):
                monkeypatch.setattr(module, name, begun)
    assert main(words) == 2
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if line.startswith("inkstone: ")]
    assert told in line and out == "" and "measuring" not in err and "reading" not in err
    assert sorted(path.name for path in place.iterdir()) == ["a.csv", "empty", "model"]
