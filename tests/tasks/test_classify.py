"""Classification: what is read of a file, what is doubtful, and that the loss and the answers are what they say."""

import json
import math

import numpy as np
import pytest
import torch

from inkstone import tune
from inkstone.errors import RunError, TextError
from inkstone.tasks.classify import Classify
from inkstone.tasks.classify_scores import given_labels
from inkstone.tasks.framing import Frame
from inkstone.tasks.labelled import Labelled
from inkstone.tasks.understanding import Understanding
from inkstone.tokens.example_batches import collate
from inkstone.tokens.learning import learn_tokenizer


def read(tmp_path, text, name="data.csv", **settings):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    task, understanding = Classify(**settings), Understanding("train", [str(path)])
    return task.read([str(path)], understanding), understanding, task


ROWS = "id,review,stars\n" + "".join(
    f"{n},review number {n} is {'good' if n % 2 else 'bad'},{n % 2}\n" for n in range(9)
)


def test_columns_are_found_by_name_and_by_content(tmp_path):
    found, understanding, _ = read(tmp_path, ROWS)
    assert understanding.columns == {"text": "review", "label": "stars"}
    assert found[1] == Labelled(found[1].place, "review number 1 is good", None, ("1",))
    pairs = [
        {"premise": f"it rains {n}", "hypothesis": f"it is wet {n}", "y": "yes" if n % 3 else "no"} for n in range(9)
    ]
    found, understanding, _ = read(tmp_path, "\n".join(map(json.dumps, pairs)), "pairs.jsonl")
    assert understanding.columns == {"text": "premise", "second text": "hypothesis", "label": "y"}
    assert found[0].second == "it is wet 0"


def test_doubtful_rows_are_named_and_left_out(tmp_path):
    text = ROWS + "9,,1\n10,no label here,\n11,review number 1 is good,0\n"
    found, understanding, _ = read(tmp_path, text)
    assert len(found) == 10
    assert {reason: [p.rpartition(":")[2] for p in places] for reason, places in understanding.refused.items()} == {
        "the text is empty": ["11"],
        "the label is missing": ["12"],
    }
    assert [places[0].rpartition(":")[2] for places in understanding.mended.values()] == [
        "13"
    ]  # two labels for one text
    assert any("data.csv:11" in fault for fault in understanding.faults())


def test_mostly_unusable_data_is_refused(tmp_path):
    with pytest.raises(TextError, match="7 rows that cannot be used"):
        read(tmp_path, "text,label\n" + "a fine text here,1\n" * 2 + ",1\n" * 7)


def test_a_column_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TextError, match=r"task.label_column = 'starz'.*did you mean 'stars'"):
        read(tmp_path, ROWS, label_column="starz")


def test_lines_of_plain_text_are_no_examples(tmp_path):
    with pytest.raises(TextError, match=r"plain.txt: one column only, as in plain text"):
        read(tmp_path, "this film is fine in every way\nthis one is dull\n", "plain.txt")


def test_several_labels_in_a_cell_and_in_a_list(tmp_path):
    text = "text,labels\na fine text here,red|blue\nanother fine text,\nyet another one,blue\n"
    found, _, _ = read(tmp_path, text, several=True)
    assert [example.labels for example in found] == [("red", "blue"), (), ("blue",)]
    rows = [{"text": "a fine text here", "labels": ["x", "y"]}, {"text": "another fine text", "labels": []}]
    found, _, _ = read(tmp_path, "\n".join(map(json.dumps, rows)), "data.jsonl", several=True)
    assert [example.labels for example in found] == [("x", "y"), ()]


class Fixed:
    """A model that gives these scores to whatever it is asked."""

    def __init__(self, scores):
        self.scores = torch.tensor(scores)

    def __call__(self, batch):
        return self.scores


def batch_for(task, examples):
    tokenizer = learn_tokenizer(["some words to learn from " * 20], vocab_size=300)
    return collate([inputs[0] for inputs in task.encode(examples, Frame.of(tokenizer, 32))])


def test_the_loss_is_minus_log_p_of_the_right_label():
    task = Classify()
    examples = [Labelled("1", "a", None, ("x",)), Labelled("2", "b", None, ("y",)), Labelled("3", "c", None, ("y",))]
    task.learn(examples)
    scores = [[2.0, 0.0], [1.0, 1.0], [0.0, 3.0]]
    expected = -np.mean(
        [math.log(math.exp(2) / (math.exp(2) + 1)), math.log(0.5), math.log(math.exp(3) / (1 + math.exp(3)))]
    )
    loss = task.loss(Fixed(scores), batch_for(task, examples), torch.Generator())
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    balanced = Classify(class_weights="balanced")
    balanced.learn(examples)
    assert balanced.weights == (1.5, 0.75)


def test_the_loss_of_several_labels_is_the_sum_of_their_binary_cross_entropies():
    task = Classify(several=True)
    examples = [Labelled("1", "a", None, ("x", "y")), Labelled("2", "b", None, ())]
    task.learn(examples)
    loss = task.loss(Fixed([[0.0, 2.0], [0.0, -1.0]]), batch_for(task, examples), torch.Generator())
    given_2, not_given_1 = 1 / (1 + math.exp(-2)), 1 - 1 / (1 + math.exp(1))
    expected = -(math.log(0.5) + math.log(given_2) + math.log(0.5) + math.log(not_given_1)) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_answers_and_their_measures():
    task = Classify()
    examples = [Labelled(str(n), f"text {n}", None, (label,)) for n, label in enumerate("aabc")]
    task.learn(examples)
    answers = [task.answer(e, [s]) for e, s in zip(examples, 3 * np.eye(3)[[0, 1, 1, 0]], strict=True)]
    assert [answer["label"] for answer in answers] == ["a", "b", "b", "a"]
    measures = task.measures(examples, answers)
    assert measures["accuracy"].value == 0.5
    assert measures["macro-F1"].value == pytest.approx((0.5 + 2 / 3 + 0) / 3)
    worst = max(task.mistakes(examples, answers), key=lambda row: row["loss"])
    assert worst["gold"] in ("a", "c") and not worst["right"]


def test_the_temperature_makes_confidence_what_it_says():
    task, draw = Classify(), np.random.default_rng(0)
    examples = [Labelled(str(n), f"text {n}", None, ("ab"[n % 2],)) for n in range(400)]
    task.learn(examples)
    scores = [[np.where(np.arange(2) == (n % 2 if draw.random() < 0.8 else 1 - n % 2), 9.0, 0.0)] for n in range(400)]
    before = task.details(examples, [task.answer(e, s) for e, s in zip(examples, scores, strict=True)])
    task.settle(examples, scores)
    after = task.details(examples, [task.answer(e, s) for e, s in zip(examples, scores, strict=True)])
    assert task.temperature > 3
    assert before["calibration_error"] > 0.15 > 0.02 > after["calibration_error"]
    assert before["confusion"] == after["confusion"]
    assert Classify.of(task.to_dict()).temperature == task.temperature


def test_one_label_is_nothing_to_learn():
    with pytest.raises(TextError, match="two at least"):
        Classify().learn([Labelled("1", "a", None, ("x",))])


@pytest.mark.parametrize("several", [False, True])
def test_a_classifier_by_counts_is_asked_beside_where_that_is_wanted(tmp_path, several):
    """The model knows nothing, so that what is answered is what the other knows."""
    examples = [Labelled(str(n), f"text {n} is {word}", None, (word,)) for n, word in enumerate(["fine", "dull"] * 30)]
    task = Classify(blend=True, several=several)
    task.learn(examples)
    task.learn_beside(examples, tmp_path)
    outputs = [[np.zeros(2)] for _ in examples]
    assert task.beside(examples, outputs) == outputs  # not opened yet
    task.open_beside(tmp_path)
    told = task.beside(examples, outputs)
    assert [len(of_one) for of_one in told] == [2] * len(examples)
    task.settle(examples, told)
    assert task.counts_share > 0
    answers = [task.answer(e, of_one) for e, of_one in zip(examples, told, strict=True)]
    assert all(given_labels(answer) == example.labels for answer, example in zip(answers, examples, strict=True))
    again = Classify.of(json.loads(json.dumps(task.to_dict())))
    assert again.counts_share == task.counts_share
    again.open_beside(tmp_path)
    asked = again.asked(["what is dull", "fine"])
    given = [again.answer(e, of_one) for e, of_one in zip(asked, again.beside(asked, outputs[:2]), strict=True)]
    assert [given_labels(answer) for answer in given] == [("dull",), ("fine",)]


def test_the_model_alone_keeps_a_temperature_of_its_own():
    draw = np.random.default_rng(0)
    examples = [Labelled(str(n), f"text {n}", None, (label,)) for n, label in enumerate(["a", "b"] * 200)]
    signal = np.array([[e.labels[0] == "a", e.labels[0] == "b"] for e in examples], dtype=np.float64)
    scores, voice = 9 * (signal + draw.normal(size=signal.shape)), signal + draw.normal(size=signal.shape)
    alone, both = Classify(), Classify(blend=True)
    for task, outputs in ((alone, [[s] for s in scores]), (both, [[s, v] for s, v in zip(scores, voice, strict=True)])):
        task.learn(examples)
        task.settle(examples, outputs)
    assert both.counts_share > 0 and both.own_temperature == alone.own_temperature == alone.temperature
    assert both.temperature < 0.8 * both.own_temperature


def test_nothing_is_learned_beside_unless_it_is_wanted(tmp_path):
    examples = [Labelled(str(n), f"text {n} is {word}", None, (word,)) for n, word in enumerate(["fine", "dull"] * 4)]
    task = Classify()
    task.learn(examples)
    task.learn_beside(examples, tmp_path)
    task.open_beside(tmp_path)
    assert not list(tmp_path.iterdir()) and task.beside(examples[:1], [["one"]]) == [["one"]]
    with pytest.raises(RunError, match="counts"):
        Classify(blend=True).open_beside(tmp_path)


def test_ids_that_stand_twice_are_named_and_kept(tmp_path):
    found, understanding, _ = read(tmp_path, ROWS + "3,review number 9 is good,1\n")
    assert len(found) == 10
    assert [(reason, len(places)) for reason, places in understanding.mended.items()] == [
        ("the id stands before, too; both are kept", 1)
    ]
    assert next(iter(understanding.mended.values()))[0].endswith("data.csv:11")
    _, understanding, _ = read(tmp_path, ROWS + "3,review number 9 is good,1\n", group_column="id")
    assert not understanding.mended


@pytest.mark.parametrize(("labels", "doubted"), [(10, True), (9, False)])
def test_nearly_as_many_labels_as_texts_are_doubted(tmp_path, labels, doubted):
    rows = "text,label\n" + "".join(f"a text with the number {n},kind {n % labels}\n" for n in range(30))
    _, understanding, _ = read(tmp_path, rows)
    assert any("too many to learn" in notice for notice in understanding.notices) == doubted


def test_a_model_of_pairs_is_not_asked_about_one_text(tmp_path):
    pairs = "premise,hypothesis,label\n" + "".join(f"it rains {n},it is wet {n},{n % 2}\n" for n in range(9))
    examples, _, task = read(tmp_path, pairs)
    task.learn(examples)
    task = Classify.of(task.to_dict())
    assert task.asked([["a", "b"], {"premise": "a", "hypothesis": "b"}])[1] == Labelled("input 2", "a", "b")
    for one in ("it rains", {"premise": "it rains"}, {"premise": "it rains", "hypothesis": ""}):
        with pytest.raises(TextError, match=r"input 2: one text, but .* two are needed"):
            task.asked([["a", "b"], one])
    with pytest.raises(
        TextError, match=r"data.csv: each row has one text, in the column 'review', .* id, review, stars;"
    ):
        path = tmp_path / "data.csv"
        path.write_text(ROWS, encoding="utf-8")
        task.read([str(path)], Understanding("test", [str(path)]))
    examples, _, single = read(tmp_path, ROWS)
    single.learn(examples)
    assert single.asked(["it rains"]) == [Labelled("input 1", "it rains")]


PAIRS = "premise,hypothesis,label\n" + "".join(f"it rains {n},it is wet {n},{n % 2}\n" for n in range(9))


def test_a_model_of_single_texts_is_not_asked_about_two(tmp_path):
    examples, _, task = read(tmp_path, ROWS)
    task.learn(examples)
    task = Classify.of(task.to_dict())
    for two in (["a", "b"], {"premise": "it rains", "hypothesis": "it is wet"}):
        with pytest.raises(
            TextError, match=r"input 2: two texts, but the model was tuned on single texts .* by itself"
        ):
            task.asked(["it rains", two])
    for one in (["it rains", ""], {"text": "it rains"}, {"text": "it rains", "sentence2": "it is wet"}):
        assert task.asked([one]) == [Labelled("input 1", "it rains")]
    path = tmp_path / "pairs.csv"
    path.write_text(PAIRS, encoding="utf-8")
    with pytest.raises(
        TextError, match=r"pairs.csv: each row has two texts, in the columns 'premise' and 'hypothesis'"
    ):
        task.read([str(path)], Understanding("data", [str(path)]))


def test_of_a_record_with_two_texts_the_column_that_was_learned_from_is_asked_about(tmp_path):
    examples, _, task = read(tmp_path, PAIRS, text_column="hypothesis")
    task.learn(examples)
    assert examples[0].second is None
    asked = Classify.of(task.to_dict()).asked([{"premise": "it rains", "hypothesis": "it is wet"}])
    assert asked == [Labelled("input 1", "it is wet")]


@pytest.mark.parametrize("part", ["dev", "test"])
@pytest.mark.parametrize(
    ("learned", "other", "complaint"),
    [
        (
            PAIRS,
            ROWS,
            r"each row has one text, in the column 'review', .* are pairs .* id, review, stars; add the second",
        ),
        (ROWS, PAIRS, r"each row has two texts, .* are single texts; .* premise, hypothesis, label; leave one"),
    ],
)
def test_parts_of_other_columns_than_the_training_part_are_refused_before_anything_is_learned(
    tmp_path, monkeypatch, learned, other, complaint, part
):
    def learn(*given):
        raise AssertionError("a yardstick was trained")

    monkeypatch.setattr(Classify, "yardstick", learn)
    for name, rows in (("learned.csv", learned), ("other.csv", other)):
        (tmp_path / name).write_text(rows, encoding="utf-8")
    files = {part: [str(tmp_path / "other.csv")]}
    with pytest.raises(TextError, match=f"other.csv: {complaint}"):
        tune("classify", [str(tmp_path / "learned.csv")], **files, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
