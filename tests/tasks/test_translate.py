"""Translation: directions, what is asked for, placeholders in training and answers, figures; and a small model that learns."""

import json
import lzma

import numpy as np
import pytest
import sacrebleu

from inkstone.cli import main
from inkstone.errors import RecipeError, RunError, TextError
from inkstone.inference.beam_search import Hypothesis
from inkstone.run import Run
from inkstone.tasks.framing import Frame
from inkstone.tasks.parallel_pairs import Translated
from inkstone.tasks.predict import Predictor, predict
from inkstone.tasks.scoring import eval as score
from inkstone.tasks.translate import Translate
from inkstone.tasks.translation_text import mask_ids
from inkstone.tasks.understanding import Understanding
from inkstone.tasks.written import Said
from inkstone.tokens.added_tokens import with_tokens
from inkstone.tokens.learning import learn_tokenizer
from inkstone.training.tuning import tune

COLOURS = {"red": "红", "black": "黑", "white": "白"}
THINGS = {"ink": "墨", "stone": "石头", "paper": "纸"}
PEOPLE = {"Tom": "汤姆", "she": "她"}
BOTH = (("en", "zh"), ("zh", "en"))


def sentence(draw):
    """One in English and in Chinese."""
    person, colour, thing = (draw.choice(list(words)) for words in (PEOPLE, COLOURS, THINGS))
    if draw.random() < 0.5:
        return f"the {thing} is {colour}.", f"{THINGS[thing]}是{COLOURS[colour]}色的。"
    return f"{person} has a {colour} {thing}.", f"{PEOPLE[person]}有{COLOURS[colour]}{THINGS[thing]}。"


STONES = [("stone", "石"), ("ink", "墨"), ("brush", "笔"), ("paper", "纸"), ("table", "桌")]


def written(folder, part, number, seed):
    draw = np.random.default_rng(seed)
    rows = [sentence(draw) for _ in range(number)]
    files = []
    for code, side in (("en", 0), ("zh", 1)):
        path = folder / f"{part}.{code}.xz"
        path.write_bytes(lzma.compress("".join(row[side] + "\n" for row in rows).encode()))
        files.append(str(path))
    return files


def read(files, **settings):
    task, understanding = Translate(**settings), Understanding("train", files)
    return task, task.read(files, understanding), understanding


def test_the_order_of_the_sides_is_the_direction_unless_it_is_told(tmp_path):
    files = written(tmp_path, "a", 20, 0)
    for order, settings, expected in (
        (files, {}, ("en", "zh")),
        (files[::-1], {}, ("zh", "en")),
        (files, {"source_language": "Chinese"}, ("zh", "en")),
        (files[::-1], {"target_language": "zh"}, ("en", "zh")),
    ):
        task, pairs, understanding = read(order, **settings)
        assert task.learned == (expected,) and {pair.direction for pair in pairs} == {expected} and len(pairs) == 20
        assert understanding.notices[0] == f"from {expected[0]} to {expected[1]}"
        assert task.tokens == tuple(f"<ph{n}>" for n in range(1, 9))


def test_both_directions_in_one_model(tmp_path):
    task, pairs, _ = read(written(tmp_path, "a", 20, 0), directions="both")
    assert task.learned == BOTH and len(pairs) == 40 and task.tokens[:2] == ("<2zh>", "<2en>")
    assert pairs[1] == pairs[0].turned() and pairs[0].group == pairs[1].group != pairs[2].group
    assert Translate.of(json.loads(json.dumps(task.to_dict()))) == task


def test_both_directions_are_those_between_the_languages_that_are_named(tmp_path):
    rows = [
        {"en": f"The {word} is old.", "zh": f"这块{sign}很旧。", "fr": f"Le {word} est vieux."} for word, sign in STONES
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    files = [str(tmp_path / "a.jsonl")]
    for settings, others in (
        ({}, ("zh", "fr")),
        ({"target_language": "zh"}, ("zh",)),
        ({"source_language": "zh"}, ("zh",)),
    ):
        task, pairs, _ = read(files, directions="both", **settings)
        assert task.learned == tuple(way for to in others for way in (("en", to), (to, "en")))
        assert len(pairs) == 2 * len(others) * len(rows)


def test_what_is_scored_is_read_in_the_directions_that_were_learned(tmp_path):
    task, _, _ = read(written(tmp_path, "a", 20, 0), source_language="zh")
    assert {pair.direction for pair in task.read(written(tmp_path, "b", 5, 1), Understanding("test", []))} == {
        ("zh", "en")
    }
    words = {"rot": "rouge", "alt": "vieille", "schwarz": "noire", "neu": "neuve", "schwer": "lourde"}
    rows = [f"Der Stein ist {one} und gut.\tLa pierre est {other} et bonne.\n" for one, other in words.items()]
    (tmp_path / "c.tsv").write_text("".join(rows))
    with pytest.raises(TextError, match="de and fr, but what is learned is zh to en"):
        task.read([str(tmp_path / "c.tsv")], Understanding("test", ["c.tsv"]))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"source_language": "Elvish!"}, "task.source_language = 'Elvish!' is no language"),
        ({"source_language": "en", "target_language": "eng"}, "are both 'en'"),
        ({"placeholders": 1.5}, "task.placeholders = 1.5"),
        ({"directions": "neither"}, "must be one or both"),
        ({"beams": 0}, "task.beams"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, told):
    with pytest.raises(RecipeError, match=told):
        Translate(**settings)


def test_into_which_language_is_told_by_the_text_or_by_the_record():
    task = Translate(learned=BOTH)
    given = ["The stone is red and old.", "石头是红色的。", {"text": "The stone.", "to": "Chinese"}, {"zh": "石头"}]
    assert [pair.direction for pair in task.asked(given)] == [BOTH[0], BOTH[1], BOTH[0], BOTH[1]]
    with pytest.raises(TextError, match="input 1: into 'de', but this model writes zh, en"):
        task.asked([{"text": "x", "to": "de"}])
    three = Translate(learned=(("en", "zh"), ("en", "de")))
    with pytest.raises(TextError, match=r"input 1: say into which language.*--to; this model writes zh, de"):
        three.asked(["The stone is red."])
    assert three.asked([{"text": "The stone.", "to": "de"}])[0].direction == ("en", "de")
    with pytest.raises(TextError, match="its text stands under 'text'"):
        task.asked([{"number": 3}])
    assert Translate(learned=(("en", "zh"),)).asked(["???"])[0].direction == ("en", "zh")


@pytest.fixture(scope="module")
def frame():
    task = Translate(learned=BOTH)
    texts = ["the stone is red. Tom has {a} 100", "石头是红色的。"] * 4
    return Frame.of(with_tokens(learn_tokenizer(texts, "byte-bpe", 300), task.tokens)[0], 40)


def test_a_pair_is_read_with_its_language_first_and_its_placeholders_as_tokens(frame):
    task, tokenizer = Translate(learned=BOTH), frame.tokenizer
    pair = Translated("f:1", "{a} has 100 of 250.", ("{a}有100。",), None, "en", "zh")
    ((one,), (other,)) = task.encode([pair, pair.turned()], frame)
    tags, masks = [tokenizer.backend.token_to_id(f"<2{code}>") for code in ("zh", "en")], mask_ids(tokenizer)
    assert (one.ids[0], other.ids[0]) == tuple(tags)
    assert one.ids[-1] == one.written[-1] == tokenizer.end
    for ids in (one.ids, one.written, other.ids, other.written):
        assert [number for number in ids if number in masks] == masks[:2]
    assert "250" in tokenizer.decode(one.ids) and "100" not in tokenizer.decode(one.ids)


def test_a_pair_that_does_not_fit_is_not_learned_and_its_text_is_read_in_sentences(frame):
    task = Translate(learned=BOTH)
    pair = Translated("f:1", "the stone is red. " * 12, ("石头是红色的。" * 12,), None, "en", "zh")
    assert task.encode([pair], frame) == [[]]
    (asked,) = task.encode(task.unanswered([pair]), frame)
    assert len(asked) == 12 and not any(each.cut or each.taught for each in asked)


def test_the_right_answer_has_no_part_in_what_is_asked(frame):
    """Neither the placeholders of the reference nor its length."""
    task = Translate(learned=BOTH)
    pairs = [
        Translated("f:1", "Tom has 100.", (target,), None, "en", "zh") for target in ("汤姆有100。", "汤姆有一百。")
    ]
    one, other = task.encode(task.unanswered(pairs), frame)
    assert one[0].ids.tolist() == other[0].ids.tolist() and one[0].written is None


def test_of_what_the_beam_found_the_first_that_loses_no_placeholder_is_taken(frame):
    task, masks = Translate(), mask_ids(frame.tokenizer)
    found = [Hypothesis(tuple(ids), (-1.0,) * len(ids), 0.0, True) for ids in ([5], [5, masks[0]], [6, masks[0]])]
    assert (
        task.best([7, masks[0]], found, frame.tokenizer) is found[1]
        and task.best([7], found, frame.tokenizer) is found[0]
    )


def test_answers_keep_lines_and_tell_what_is_missing():
    task = Translate(learned=BOTH)
    asked = Translated("f:1", "Tom has {a}.\n\n  42 http://a.org/x\nThe stone is %s.", (), None, "en", "zh")
    answer = task.answer(asked, [Said("汤姆有<ph1>。", -1.0, 2), Said("石头是红色的。", -3.0, 2)])
    assert answer == {
        "translation": "汤姆有{a}。\n\n  42 http://a.org/x\n石头是红色的。",
        "confidence": pytest.approx(np.exp(-1)),
        "to": "zh",
        "missing": ["%s"],
    }
    nothing = Translated("f:1", "42", (), None, "en", "zh")
    assert task.answer(nothing, [])["translation"] == "42"


def test_pairs_of_many_sentences_are_translated_together():
    task = Translate()
    task.learn([Translated(f"f:{n}", "One. Two.", ("一。二。",), None, "en", "zh") for n in range(10)])
    assert task.together == 9
    alone = Translate()
    alone.learn([Translated(f"f:{n}", "One is one.", ("一。",), None, "en", "zh") for n in range(10)])
    assert alone.together == 0


def test_figures_are_those_of_sacrebleu_each_language_with_its_own_tokens():
    task = Translate(learned=BOTH)
    draw = np.random.default_rng(3)
    rows = [sentence(draw) for _ in range(40)]
    pairs = [Translated("f:1", a, (b,), None, "en", "zh") for a, b in rows[:20]]
    pairs += [Translated("f:1", b, (a,), None, "zh", "en") for a, b in rows[20:]]
    answers = [{"translation": pair.targets[0][: 3 + n % 9]} for n, pair in enumerate(pairs)]
    measures = task.measures(pairs, answers)
    assert list(measures) == ["BLEU", "chrF", "BLEU en-zh", "chrF en-zh", "BLEU zh-en", "chrF zh-en"]
    for way, tokens, part in (("en-zh", "zh", slice(0, 20)), ("zh-en", "13a", slice(20, 40))):
        texts, references = [a["translation"] for a in answers[part]], [[p.targets[0] for p in pairs[part]]]
        theirs = sacrebleu.BLEU(tokenize=tokens).corpus_score(texts, references).score
        assert 100 * measures[f"BLEU {way}"].value == pytest.approx(theirs, abs=1e-9)
        theirs = sacrebleu.CHRF().corpus_score(texts, references).score
        assert 100 * measures[f"chrF {way}"].value == pytest.approx(theirs, abs=1e-9)
    assert measures["BLEU"].value > 0.1
    told = task.details(pairs, answers)["signatures"]
    assert "tok:zh" in told["zh"]["BLEU"] and "tok:13a" in told["en"]["BLEU"]
    wrong = task.mistakes(pairs[:1], [{"translation": "x"}])[0]
    assert (wrong["right"], wrong["gold"]) == (False, pairs[0].targets[0]) and 0 <= wrong["score"] < 0.1


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation")
    train, dev, test = (
        written(folder, part, number, number) for part, number in (("train", 300), ("dev", 20), ("test", 30))
    )
    shape = ["model.width=64", "model.n_layers=1", "model.dropout=0.1", "tokenizer.vocab_size=400"]
    how = ["train.steps=400", "train.threads=1", "task.rows=16", "train.device=cpu"]
    settings = [*shape, *how, "task.directions=both", "task.placeholders=0.2"]
    outcome = tune("translate", train, dev=dev, test=test, settings=settings, out=folder / "run", quiet=True)
    return folder, outcome


def test_it_learns_both_directions_and_keeps_placeholders(tuned):
    folder, outcome = tuned
    figures = outcome["figures"]["test"]
    assert figures["BLEU en-zh"]["value"] > 0.9 and figures["BLEU zh-en"]["value"] > 0.9
    assert outcome["yardstick"]["name"] == "translation memory"
    files = [str(folder / f"test.{code}.xz") for code in ("zh", "en")]
    # With the pairs in another order the interval is of other draws.
    again = score(folder / "run", files, device="cpu")["figures"]["BLEU"]
    assert again["value"] == pytest.approx(figures["BLEU"]["value"])
    asked = [
        "Tom has a white stone.\n\n the ink is black. the paper is red.",
        "她有白纸。汤姆有黑石头。",
        "the paper is white {x}.",
    ]
    answers = predict(folder / "run", asked, device="cpu")
    assert [answer["translation"] for answer in answers] == [
        "汤姆有白石头。\n\n 墨是黑色的。纸是红色的。",
        "she has a white paper. Tom has a black stone.",
        "纸是白色的{x}。",
    ]
    assert [answer["to"] for answer in answers] == ["zh", "en", "zh"] and not any("missing" in each for each in answers)


def test_the_report_and_the_recipe_say_what_was_learned(tuned):
    folder, _ = tuned
    run = Run(folder / "run")
    assert run.facts()["evaluation"]["details"]["test"]["signatures"]["zh"]["BLEU"].startswith("nrefs:1")
    assert (folder / "run" / "report.html").exists() and (folder / "run" / "errors.html").exists()
    task = Predictor.load(folder / "run", "cpu").task
    assert task.learned == BOTH and run.recipe().task.directions == "both"
    assert (run.recipe().model.norm, run.recipe().model.n_heads) == ("post", 4)


def test_a_document_is_translated_by_the_command(tuned, capsys):
    folder, _ = tuned
    (folder / "letter.txt").write_text("the ink is red.\n\nshe has a black paper.\n", encoding="utf-8")
    command = ["predict", str(folder / "run"), "--file", str(folder / "letter.txt"), "--to", "zh", "--device", "cpu"]
    assert main([*command, "--out", str(folder / "letter.zh.txt")]) == 0
    assert (folder / "letter.zh.txt").read_text(encoding="utf-8") == "墨是红色的。\n\n她有黑纸。\n"
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out == "墨是红色的。\n\n她有黑纸。\n\n"


def test_a_language_is_for_runs_that_translate(tuned):
    with pytest.raises(TextError, match="into 'de', but this model writes zh, en"):
        predict(tuned[0] / "run", ["x"], to="de", device="cpu")
    assert RunError  # of other tasks: see test_predict
