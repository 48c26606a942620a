"""Summaries: what is read of a file, pieces of long texts, answers and figures; and a small model that learns to write."""

import json

import numpy as np
import pytest

from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.rouge import rouge_scores
from inkstone.hub.folder import load
from inkstone.models.headed import Headed
from inkstone.run import Run
from inkstone.tasks.framing import Frame
from inkstone.tasks.predict import Predictor, predict
from inkstone.tasks.scoring import eval as score
from inkstone.tasks.summarize import Summarize
from inkstone.tasks.understanding import Understanding
from inkstone.tasks.written import Pair, Said
from inkstone.tokens.learning import learn_tokenizer
from inkstone.training.tuning import tune

COLOURS, THINGS = ("black", "white", "red", "green"), ("ink", "stone", "paper", "brush", "seal")


def story(draw):
    """Three sentences, of which one says what the summary says."""
    thing, colour = draw.choice(THINGS), draw.choice(COLOURS)
    other = draw.choice([each for each in THINGS if each != thing])
    return f"We saw a {other} on the table. Mark that the {thing} is {colour}. Nobody spoke of it.", f"{colour} {thing}"


def written(path, number, seed):
    draw = np.random.default_rng(seed)
    rows = [dict(zip(("article", "summary"), story(draw), strict=True)) for _ in range(number)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read(path, text, **settings):
    path.write_text(text, encoding="utf-8")
    task, understanding = Summarize(**settings), Understanding("train", [str(path)])
    return task, task.read([str(path)], understanding), understanding


def test_columns_are_told_by_their_names(tmp_path):
    rows = '{"title": "Ink", "abstract": "Ink is ground on a stone."}\n{"title": "Paper", "abstract": "Paper waits."}\n'
    _, found, understanding = read(tmp_path / "a.jsonl", rows)
    assert understanding.columns == {"text": "abstract", "summary": "title"}
    assert (found[0].source, found[0].targets) == ("Ink is ground on a stone.", ("Ink",))
    _, found, _ = read(tmp_path / "b.jsonl", rows, source_column="title", target_column="abstract")
    assert found[1].targets == ("Paper waits.",)


def test_where_a_text_is_from_is_not_the_text(tmp_path):
    rows = '{"source": "The Times", "article": "Ink is ground on a stone.", "summary": "Ink"}\n'
    _, found, _ = read(tmp_path / "a.jsonl", rows)
    assert found[0].source == "Ink is ground on a stone."


def test_no_more_may_be_written_than_the_context_holds():
    task = Summarize()
    task.learn_length([np.zeros(60, dtype=np.int64)], 64)
    assert task.longest == 64


def test_only_texts_of_several_pieces_are_read_again():
    class Counting(Predictor):
        def __init__(self):
            self.task, self.cut, self.seen = Summarize(), [], []

        def outputs(self, examples):
            self.seen.append([pair.source for pair in examples])
            return [[Said(piece, -1.0, 2) for piece in pair.source.split("|")] for pair in examples]

    predictor = Counting()
    answers = predictor.answers([Pair("a", "one"), Pair("b", "two|three"), Pair("c", "four")])
    assert predictor.seen == [["one", "two|three", "four"], ["two three"]]
    assert [answer["summary"] for answer in answers] == ["one", "two three", "four"]


def test_columns_without_names_are_told_by_what_stands_in_them(tmp_path):
    rows = "".join(
        f"to title\tThe story number {n} is about ink, a stone, and much else.\tStory {n} of ink\n" for n in range(6)
    )
    _, found, understanding = read(tmp_path / "a.tsv", rows)
    assert understanding.columns["summary"] == "column_3" and found[2].targets == ("Story 2 of ink",)
    with pytest.raises(TextError, match=r"no column that looks like a summary.*task.target_column"):
        read(tmp_path / "b.tsv", "to title\tThe story of an old ink stone.\n" * 3)
    with pytest.raises(TextError, match=r"no column that holds text.*--set task\.source_column=NAME$"):
        read(tmp_path / "c.tsv", "one\tother\n" * 3)


def test_lists_are_sentences_of_a_text_and_ways_to_summarise_it(tmp_path):
    row = {"source": ["墨在砚上磨。", "纸在等。"], "target": ["磨墨", "写字之前", "磨墨"]}
    _, (pair,), _ = read(tmp_path / "a.jsonl", json.dumps(row, ensure_ascii=False))
    assert pair.source == "墨在砚上磨。纸在等。" and pair.targets == ("磨墨", "写字之前")


def test_doubtful_rows_are_named(tmp_path):
    rows = ["Ink is ground.,Ink", ",no text", "Paper waits.,", "Ink is ground.,Again", "Seal.,A long summary of it"]
    _, found, understanding = read(tmp_path / "a.csv", "text,summary\n" + "\n".join(rows))
    assert [pair.targets[0] for pair in found] == ["Ink", "Again", "A long summary of it"]
    assert {reason: places[0].rpartition(":")[2] for reason, places in understanding.refused.items()} == {
        "the text is empty": "3",
        "the summary is empty": "4",
    }
    assert len(understanding.mended) == 2 and any("longer than its text" in reason for reason in understanding.mended)


def test_what_may_be_asked():
    task = Summarize()
    given = ["a text", {"article": ["one.", "two."], "id": 3}]
    assert [pair.source for pair in task.asked(given)] == ["a text", "one. two."]
    with pytest.raises(TextError, match="input 1"):
        task.asked([["a", "list"]])


@pytest.mark.parametrize("text", ["磨墨。纸在等。" * 30, "Ink is ground.  The stone\nwaits. " * 29 + "Ink is ground."])
def test_pieces_are_the_text_itself(text):
    tokenizer = learn_tokenizer([text], "byte-bpe", 300)
    (inputs,) = Summarize().encode([Pair("here", text)], Frame.of(tokenizer, 40))
    assert len(inputs) > 1 and "".join(tokenizer.decode(each.ids) for each in inputs) == text


def test_a_long_text_is_read_in_pieces_that_end_between_sentences():
    text = " ".join(f"Sentence number {n} speaks of ink." for n in range(30))
    tokenizer = learn_tokenizer([text], "byte-bpe", 300)
    frame = Frame.of(tokenizer, 40)
    task = Summarize()
    pair = Pair("here", text, ("ink",))
    (inputs,) = task.encode([pair], frame)
    assert len(inputs) > 1 and all(len(each.ids) <= 40 and not each.cut for each in inputs)
    assert [each.written is not None for each in inputs] == [True] + [False] * (len(inputs) - 1)
    told = [tokenizer.decode(each.ids).strip() for each in inputs]
    assert " ".join(told) == text and all(piece.endswith(".") for piece in told)
    assert all(each.ids[-1] == tokenizer.end for each in inputs) and inputs[0].written[-1] == tokenizer.end
    parts = [Said(f"part {n}", -1.0, 2) for n in range(len(inputs))]
    again = task.further(pair, parts)
    assert again.source.startswith("part 0 part 1") and task.further(pair, parts[:1]) is pair
    assert task.answer(again, [Said("ink", -2.0, 2)]) == {"summary": "ink", "confidence": pytest.approx(np.exp(-1.0))}


def test_figures_are_those_of_rouge():
    task = Summarize()
    examples = [Pair("1", "x", ("the black ink", "ink")), Pair("2", "x", ("砚台和墨",))]
    answers = [{"summary": "black ink"}, {"summary": "砚和墨"}]
    measures = task.measures(examples, answers)
    expected = rouge_scores(["black ink", "砚和墨"], [e.targets for e in examples])
    assert list(measures) == ["ROUGE-L", "ROUGE-1", "ROUGE-2"]
    assert all(measures[kind].value == pytest.approx(expected.mean(kind).f1) for kind in measures)
    wrong, right = task.mistakes(examples, [{"summary": "red"}, {"summary": "砚台和墨"}])
    assert (wrong["right"], wrong["score"], right["right"], right["score"]) == (False, 0.0, True, 1.0)


def test_the_yardstick_is_the_extract_that_the_training_part_is_best_met_with():
    rows = [Pair(str(n), f"Nothing here. The point {n} stands in the second. End.", ("The point",)) for n in range(8)]
    name, (answers,) = Summarize().yardstick(rows, [rows[:2]], 0)
    assert name in ("TextRank, 1 sentence", "lead, 2 sentences") and "point" in answers[1]["summary"]


def test_settings_that_cannot_be_are_refused():
    for settings in ({"beams": 0}, {"smoothing": 1.0}, {"length_penalty": -1.0}):
        with pytest.raises(RecipeError, match=next(iter(settings))):
            Summarize(**settings)
    with pytest.raises(RecipeError, match="no setting"):
        Summarize.of({"labels": ["a"]})


def test_a_body_that_only_reads_is_refused_and_so_is_a_writer_for_other_tasks(tmp_path):
    data = written(tmp_path / "train.jsonl", 30, 0)
    small = ["train.steps=2", "model.width=32", "model.n_layers=1", "tokenizer.vocab_size=300", "train.threads=1"]
    with pytest.raises(RecipeError, match="writes texts; take another, such as an encoder-decoder"):
        tune("summarize", [data], family="encoder", settings=small, out=tmp_path / "a", quiet=True)
    settings = [*small, "task.label_column=summary"]
    with pytest.raises(RecipeError, match="reads texts; take another, such as an encoder"):
        tune("classify", [data], family="encoder_decoder", settings=settings, out=tmp_path / "b", quiet=True)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("summaries")
    train, test = written(folder / "train.jsonl", 300, 1), written(folder / "test.jsonl", 30, 2)
    shape = ["model.width=64", "model.n_layers=1", "model.dropout=0", "tokenizer.vocab_size=400"]
    how = ["train.steps=400", "train.threads=1", "task.rows=16", "train.device=cpu"]
    outcome = tune("summarize", [train], test=[test], settings=[*shape, *how], out=folder / "run", quiet=True)
    return folder, outcome


def test_it_learns_what_to_keep_and_is_asked_as_a_person_does(tuned):
    folder, outcome = tuned
    figures, yardstick = outcome["figures"]["test"], outcome["yardstick"]["figures"]["test"]
    assert figures["ROUGE-L"]["value"] > 0.85 > yardstick["ROUGE-L"]["value"]
    assert score(folder / "run", [folder / "test.jsonl"], device="cpu")["figures"] == figures
    text = "We saw a brush on the table. Mark that the seal is green. Nobody spoke of it."
    (answer,) = predict(folder / "run", [text], device="cpu")
    assert answer["summary"] == "green seal" and 0.2 < answer["confidence"] <= 1
    assert (folder / "run" / "report.html").exists() and (folder / "run" / "errors.html").exists()
    assert "dev_nats" in (folder / "run" / "metrics.jsonl").read_text()


def test_the_run_keeps_what_it_learned_of_lengths(tuned):
    folder, _ = tuned
    model = load(folder / "run")
    assert isinstance(model, Headed) and model.head.kind == "text" and model.body.family == "encoder_decoder"
    task = Predictor.load(folder / "run", "cpu").task
    recipe = Run(folder / "run").recipe()
    assert 8 <= task.longest < 40 and recipe.model.family == "encoder_decoder" and recipe.train.optimizer == "muon"
