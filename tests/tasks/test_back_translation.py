"""Back-translation: pairs made of text in the target language, by a model that translates the other way."""

from pathlib import Path

import numpy as np
import pytest

from inkstone.errors import RecipeError, TextError
from inkstone.tasks import predict
from inkstone.tasks.back_translation import MADE, made_pairs
from inkstone.tasks.framing import Frame
from inkstone.tasks.parallel_pairs import Translated
from inkstone.tasks.summarize import Summarize
from inkstone.tasks.translate import Translate
from inkstone.tasks.understanding import Understanding
from inkstone.tokens.added_tokens import with_tokens
from inkstone.tokens.learning import learn_tokenizer


class Reverse:
    """In place of a model: it spells what it is asked about backwards, greedily."""

    task = Translate(learned=(("de", "en"),))

    def __init__(self, model=None, task=None, context=None):
        self.model, self.frame, self.asked_by = None, self, task or self.task
        self.context = 9

    @classmethod
    def load(cls, run):
        return cls()

    def answers(self, examples):
        assert self.asked_by.beams == 1
        return [{"translation": "" if "leer" in e.source else e.source[::-1]} for e in examples]


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "Predictor", Reverse)
    path = tmp_path / "news.txt"
    path.write_text("Die Tusche trocknet. Der Stein ist nass.\nDie Tusche trocknet.\nDas ist leer.\n", encoding="utf-8")
    return [str(path)]


def test_each_different_sentence_becomes_the_target_of_a_pair(text):
    pairs = made_pairs("runs/de-en", text, (("en", "de"), ("de", "en")))
    assert [(p.source, p.targets, p.direction, p.made) for p in pairs] == [
        (sentence[::-1], (sentence,), ("en", "de"), True)
        for sentence in ("Die Tusche trocknet.", "Der Stein ist nass.")
    ]


def test_a_run_that_does_not_translate_back_is_refused(text, monkeypatch):
    with pytest.raises(RecipeError, match="translates de to en, but what is needed is de to zh"):
        made_pairs("runs/de-en", text, (("zh", "de"),))
    with pytest.raises(RecipeError, match="in de, and not in one of the target languages, fr, zh"):
        made_pairs("runs/de-en", text, (("en", "fr"), ("en", "zh")))
    monkeypatch.setattr(Reverse, "task", Summarize())
    with pytest.raises(RecipeError, match="was tuned for the task summarize, and does not translate"):
        made_pairs("runs/de-en", text, (("en", "de"),))


def test_text_without_a_sentence_is_refused(text, tmp_path):
    (tmp_path / "blank.txt").write_text("\n \n")
    with pytest.raises(TextError):
        made_pairs("runs/de-en", [str(tmp_path / "blank.txt")], (("en", "de"),))


def test_the_run_and_the_text_belong_together():
    for given in ({"back_translation": "runs/x"}, {"monolingual": ["a.txt"]}):
        with pytest.raises(RecipeError, match="give both or neither"):
            Translate(**given)


def test_sentences_of_parts_that_are_scored_are_left_out(text, tmp_path):
    left_out = ["der stein  ist NASS. Und kalt."]
    pairs = made_pairs("runs/de-en", text, (("en", "de"),), left_out)
    assert [pair.targets for pair in pairs] == [("Die Tusche trocknet.",)]
    files = [str(tmp_path / f"{part}.{code}") for part in ("train", "test") for code in ("en", "de")]
    for file, line in zip(files, ("Ink.", "Die Tusche trocknet.", "A stone.", "Der Stein ist nass."), strict=True):
        Path(file).write_text(line + "\n", encoding="utf-8")
    task = Translate(back_translation="runs/de-en", monolingual=text)
    train, _ = (task.read(files[at : at + 2], Understanding(part, files)) for part, at in (("train", 0), ("test", 2)))
    task.learn(train)
    assert [pair.targets for pair in task.made(tmp_path)] == [("Die Tusche trocknet.",)]


def test_pairs_are_made_once_for_a_run(text, tmp_path, monkeypatch):
    task = Translate(back_translation="runs/de-en", monolingual=text, learned=(("en", "de"),))
    made = task.made(tmp_path)
    asked = []
    monkeypatch.setattr(Reverse, "load", classmethod(lambda cls, run: asked.append(run) or cls()))
    assert task.made(tmp_path) == made and not asked
    Path(text[0]).write_text("Die Feder ist neu.\n", encoding="utf-8")  # another text
    assert [pair.targets for pair in task.made(tmp_path)] == [("Die Feder ist neu.",)] and len(asked) == 1
    (tmp_path / "back_translation.jsonl").write_text("torn", encoding="utf-8")
    assert len(task.made(tmp_path)) == 1 and len(asked) == 2


def test_made_pairs_are_learned_with_a_token_before_their_source(text, tmp_path):
    task = Translate(back_translation="runs/de-en", monolingual=text, learned=(("en", "de"),), placeholders=0.0)
    assert task.tokens == (MADE,)
    tokenizer = with_tokens(learn_tokenizer(["Die Tusche trocknet."] * 3, "byte-bpe", 300), task.tokens)[0]
    pair = Translated("f:1", "The ink dries.", ("Die Tusche trocknet.",), None, "en", "de")
    made = task.made(tmp_path)
    assert len(made) == 2 and task.varied([pair], np.random.default_rng(0), None) == []
    assert len(made) == 2 and all(each.made for each in made)
    (real,), (one,), _ = task.encode([pair, *made], Frame.of(tokenizer, 64))
    token = tokenizer.backend.token_to_id(MADE)
    assert one.ids[0] == token and token not in real.ids and token not in one.written
    assert Translate.of(task.to_dict()) == task
