"""Semantic roles: decoding never breaks its rules, places are those of the input, and the model learns who did what."""

import json

import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.spans import span_scores
from inkstone.evaluation.tag_schemes import scheme_faults
from inkstone.layers.crf import viterbi
from inkstone.layers.seen_from import ASKED
from inkstone.layers.tag_moves import best_bio, free_chain, tag_moves
from inkstone.models.encoder import Encoder
from inkstone.models.headed import Headed
from inkstone.models.word_reader import WordReader, WordReaderSettings
from inkstone.run import Run
from inkstone.tasks.framing import Frame
from inkstone.tasks.predict import Predictor, predict
from inkstone.tasks.role_decoding import distances, tags_of_batch
from inkstone.tasks.role_sentences import learned_roles, predicate_tags, role_tags
from inkstone.tasks.roles import Reading, Roles
from inkstone.tasks.scoring import eval as score
from inkstone.tasks.understanding import Understanding
from inkstone.text.predicates import Predicate, Role
from inkstone.tokens.example_batches import NOT_ASKED, ExampleBatches, collate
from inkstone.tokens.learning import learn_tokenizer
from inkstone.training.tuning import tune

NAMES, VERBS, THINGS, TIMES = (
    ["Anna", "Ben", "Carl", "Dora", "Emil"],
    ["sees", "buys", "paints", "sells"],
    ["ink", "stone", "brush", "paper"],
    ["today", "tomorrow"],
)


def record(who, verb, thing, when):
    words = [who, verb, "the", thing, *([when] if when else [])]
    roles = [{"tokens": [0, 1], "label": "ARG0"}, {"tokens": [2, 4], "label": "ARG1"}]
    roles += [{"tokens": [4, 5], "label": "ARGM-TMP"}] if when else []
    return {"tokens": words, "predicates": [{"token": 1, "roles": roles}]}


def two(first, second):
    """Two clauses in one sentence, each with roles of its own."""
    both = [*first["tokens"], "and", *second["tokens"]]
    moved = len(first["tokens"]) + 1
    (own,) = second["predicates"]
    roles = [{"tokens": [at + moved for at in role["tokens"]], "label": role["label"]} for role in own["roles"]]
    return {"tokens": both, "predicates": [*first["predicates"], {"token": own["token"] + moved, "roles": roles}]}


def records(seed, count):
    draw = np.random.default_rng(seed)
    simple = [
        record(draw.choice(NAMES), draw.choice(VERBS), draw.choice(THINGS), draw.choice(["", *TIMES]))
        for _ in range(2 * count)
    ]
    return [two(a, b) if draw.random() < 0.5 else a for a, b in zip(simple[::2], simple[1::2], strict=True)]


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read(tmp_path, rows, **settings):
    task, understanding = Roles(**settings), Understanding("train", ["data"])
    examples = task.read([written(tmp_path / "data.jsonl", rows)], understanding)
    task.learn(examples)
    return task, examples, understanding


def predictor(task, examples, body="word_reader", context=512):
    tokenizer = learn_tokenizer(task.texts(examples) * 3, "character", 500)
    if body == "word_reader":
        made = WordReader(
            WordReaderSettings(tokenizer.vocab_size, width=8, word_width=6, filters=5, focus_width=6), tokenizer
        )
        frame = Frame.of(tokenizer, context, reads_focus=True)
        inputs = [each for own in task.encode(examples, frame) for each in own]
        made.learn_words(inputs, torch.Generator().manual_seed(0))
    else:
        settings = Encoder.Settings.of_size(tokenizer.vocab_size, 16, 1, context=context)
        made = Encoder(settings, tokenizer).initialise(torch.Generator().manual_seed(0))
    model = Headed(made, task.head()).initialise_head(torch.Generator().manual_seed(2))
    with torch.no_grad():  # a fresh head says the same of every word
        model.scores.weight.mul_(100)
    return Predictor(model, task, context)


def test_the_words_are_marked_by_how_far_they_stand(tmp_path):
    focus = distances(np.arange(40), 20, 22)
    assert (focus == ASKED).nonzero()[0].tolist() == [20, 21]
    assert focus[19] != focus[22] and focus[0] == focus[2] and focus.min() == ASKED
    task, examples, _ = read(
        tmp_path, [two(record("Anna", "sees", "ink", ""), record("Ben", "buys", "stone", "today"))] * 2
    )
    found, first, second = predictor(task, examples).task.encode(examples, predictor(task, examples).frame)[0]
    assert found.focus.tolist() == [0] * 10
    assert (first.focus == ASKED).nonzero()[0].tolist() == [1] and (second.focus == ASKED).nonzero()[0].tolist() == [6]
    names = [[task.tags[at] if at != NOT_ASKED else "?" for at in each.target] for each in (found, first, second)]
    assert names[0] == ["O", "B-V", "O", "O", "O", "O", "B-V", "O", "O", "O"]
    assert names[1] == ["B-ARG0", "?", "B-ARG1", "I-ARG1", *["O"] * 6]
    assert names[2] == [*["O"] * 5, "B-ARG0", "?", "B-ARG1", "I-ARG1", "B-ARGM-TMP"]


def test_another_body_is_shown_the_predicate_in_its_input(tmp_path):
    task, examples, _ = read(
        tmp_path, [two(record("Anna", "sees", "ink", ""), record("Ben", "buys", "stone", "today"))]
    )
    model = predictor(task, examples, "encoder")
    tokenizer = model.model.tokenizer
    found, first, second = task.encode(examples, model.frame)[0]
    assert len(second.ids) == len(found.ids) + len("buys") + 3  # said first, and three end tokens
    for each in (found, first, second):  # units are the first characters of the words, wherever they moved to
        letters = [tokenizer.token_text(int(each.ids[at])) for at in each.units]
        wanted = [word[0] for word in examples[0].words]
        asked = (each.focus == ASKED).nonzero()[0].tolist()
        assert all(a == b for at, (a, b) in enumerate(zip(letters, wanted, strict=True)) if at not in asked)
    assert all(len(answer["predicates"]) == 2 for answer in model.answers(examples))


def test_a_context_without_room_for_a_sentence_is_refused(tmp_path):
    task, examples, _ = read(tmp_path, records(0, 2))
    assert predictor(task, examples, "encoder", context=16).answers(examples)
    with pytest.raises(RecipeError, match="a context of 10 tokens leaves no room for a sentence beside its predicate"):
        predictor(task, examples, "encoder", context=10).answers(examples)


@pytest.mark.parametrize("body", ["word_reader", "encoder"])
@pytest.mark.parametrize("context", [512, 40])
def test_no_answer_breaks_a_rule_however_wrong_the_model(tmp_path, body, context):
    task, examples, _ = read(tmp_path, records(0, 30))
    model = predictor(task, examples, body, context)
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcde"), draw.integers(1, 6))) for _ in range(400)]
    asked = task.asked([" ".join(words[at : at + 20]) for at in range(0, 400, 20)])
    told = 0
    for example, answer in zip(asked, model.answers(asked), strict=True):
        assert answer["tokens"] == list(example.words) and "found" not in answer
        for predicate in answer["predicates"]:
            told += len(predicate["roles"])
            assert 0 <= predicate["probability"] <= 1
            own = set(range(*predicate["tokens"]))
            spans = [set(range(*role["tokens"])) for role in predicate["roles"]]
            assert not any(own & span for span in spans)
            assert sum(map(len, spans)) == len(set().union(*spans))
            core = [role["label"] for role in predicate["roles"] if role["label"] in ("ARG0", "ARG1")]
            assert len(core) == len(set(core))
            for part in (predicate, *predicate["roles"]):
                assert example.text[part["start"] : part["end"]] == part["text"]
    assert told > 20


def test_a_core_role_is_told_once_and_the_surer_span_stays():
    labels = ("O", "B-V", "I-V", "B-ARG0", "I-ARG0", "B-ARGM-TMP", "I-ARGM-TMP")
    scores = torch.zeros(1, 5, 7)
    scores[0, 0, 3], scores[0, 2, 3], scores[0, 3, 5], scores[0, 4, 5] = 5.0, 9.0, 8.0, 8.0
    focus = torch.tensor([[2, ASKED, 3, 4, 5]])
    for once, wanted in ((False, [3, 0, 3, 5, 5]), (True, [0, 0, 3, 5, 5])):
        tags, chance = tags_of_batch(scores, focus, torch.tensor([5]), labels, once=once)
        assert tags[0].tolist() == wanted and chance.item() <= 0
    found, _ = tags_of_batch(scores, torch.zeros_like(focus), torch.tensor([5]), labels, once=True)
    assert not set(found[0].tolist()) - {0, 1, 2}


def test_the_best_tags_are_those_of_viterbi():
    labels = ("O", "B-A", "I-A", "B-B", "I-B")
    scores = 3 * torch.randn(40, 9, 5, generator=torch.Generator().manual_seed(0))
    lengths = torch.randint(1, 10, (40,), generator=torch.Generator().manual_seed(1))
    moves = tag_moves(labels)
    assert moves is not None
    wanted, _ = viterbi(scores, free_chain(moves), lengths)
    assert torch.equal(best_bio(scores, labels, lengths), wanted)


def test_roles_that_overlap_are_scored_but_the_longest_is_learned(tmp_path):
    predicate = Predicate(1, 2, (Role(0, 1, "A0"), Role(1, 5, "A1"), Role(2, 5, "A2"), Role(3, 4, "AM-LOC")))
    assert learned_roles(predicate) == [Role(0, 1, "A0"), Role(2, 5, "A2")]
    assert role_tags(predicate, 5) == ["B-A0", "O", "B-A2", "I-A2", "I-A2"]
    assert predicate_tags([Predicate(2, 4), Predicate(0, 1), Predicate(3, 5)], 5) == ["B-V", "O", "B-V", "I-V", "O"]
    row = record("Anna", "sees", "ink", "today")
    row["predicates"][0]["roles"].append({"tokens": [3, 4], "label": "ARG1"})
    _, examples, understanding = read(tmp_path, [row, record("Ben", "buys", "ink", "")])
    assert any("overlap" in reason for reason in understanding.mended)
    assert len(examples[0].predicates[0].roles) == 4
    assert any("2 predicates with 6 roles" in notice for notice in understanding.notices)


def test_characters_of_a_text_become_words(tmp_path):
    text = "Anna sees the inkstone"
    roles = [{"start": 0, "end": 4, "label": "ARG0"}, {"start": 10, "end": 17, "label": "ARG1"}]
    rows = [{"text": text, "predicates": [{"start": 5, "end": 9, "roles": roles}]}] * 2
    task, examples, understanding = read(tmp_path, rows)
    assert examples[0].words == ("Anna", "sees", "the", "ink", "stone")  # a role ends inside a word
    assert examples[0].predicates[0].roles == (Role(0, 1, "ARG0"), Role(2, 4, "ARG1"))
    assert any("inside a word" in reason for reason in understanding.mended)
    rows = [{"text": "a  b", "predicates": [{"start": 1, "end": 2, "roles": []}]}]
    with pytest.raises(TextError, match="where no word stands"):
        task.read([written(tmp_path / "blank.jsonl", rows)], Understanding("dev", ["blank.jsonl"]))
    with pytest.raises(TextError, match="no predicate of the training part has a role"):
        read(tmp_path, [{"tokens": ["a", "b"], "predicates": [{"token": 1}]}])


def test_what_may_be_asked(tmp_path):
    task, examples, _ = read(tmp_path, records(0, 20))
    model = predictor(task, examples)
    given = {"tokens": ["Anna", "sees", "ink"], "predicates": [{"token": 1}]}
    inputs = [
        "Anna sees ink",
        ["Anna", "sees", "ink"],
        {"text": "Anna sees ink"},
        {"tokens": ["Anna", "sees", "ink"]},
        given,
        "",
    ]
    answers = model.answers(task.asked(inputs))
    assert [len(answer["tokens"]) for answer in answers] == [3] * 5 + [0]
    assert answers[4]["predicates"][0]["text"] == "sees"
    assert "offsets" in answers[0] and "offsets" not in answers[1]
    (tmp_path / "words.conll").write_text("Anna\tO\nsees\tO\nink\tO\n", encoding="utf-8")
    assert task.inputs_of(tmp_path / "words.conll") == [{"tokens": ["Anna", "sees", "ink"]}]
    assert task.inputs_of(tmp_path / "data.jsonl") is None
    for wrong in (3, ["a", ""], {"x": "y"}, [1], {"tokens": ["a"], "predicates": [{"token": 4}]}):
        with pytest.raises(TextError, match="input 1: "):
            task.asked([wrong])
    with pytest.raises(RecipeError, match="the task roles has no setting colour"):
        Roles.of({"colour": 1})


def test_figures_are_those_of_evaluation_spans(tmp_path):
    task, examples, _ = read(
        tmp_path, [two(record("Anna", "sees", "ink", ""), record("Ben", "buys", "stone", "today"))] * 2
    )
    good = ["B-ARG0", "O", "B-ARG1", "I-ARG1", *["O"] * 6]
    poor = [*["O"] * 5, "B-ARG0", "O", "B-ARG1", "O", "O"]
    found = ["O", "B-V", *["O"] * 8]
    outputs = [Reading(found, 0.0), Reading(good, 0.0), Reading(poor, -1.0)]
    answers = [task.answer(example, outputs) for example in examples]
    measures = task.measures(examples, answers)
    wanted = span_scores(
        [[(0, 1, "0"), (2, 4, "1")], [(5, 6, "0"), (7, 9, "1"), (9, 10, "t")]],
        [[(0, 1, "0"), (2, 4, "1")], [(5, 6, "0"), (7, 8, "1")]],
    )
    assert measures["role F1"].value == pytest.approx(wanted.overall.f1)
    assert measures["whole predicates"].value == 0.5
    other = task.measures(
        examples, [task.answer(e, [Reading(found, 0.0), *[Reading(["O"] * 10, 0.0)] * 2]) for e in examples]
    )
    assert all(
        other[name].statistics.shape == own.statistics.shape for name, own in measures.items()
    )  # can be compared
    assert measures["predicate F1"].value == pytest.approx(2 / 3)
    assert task.details(examples, answers)["labels"]["ARGM-TMP"]["gold"] == 2
    (row, _) = task.mistakes(examples, answers)
    assert row["gold"] == "buys: the stone/ARG1, buys: today/ARGM-TMP" and row["predicted"] == "buys: the/ARG1"
    assert (
        row["score"] == pytest.approx(2 * 3 / 9) and not row["right"] and row["confidence"] == pytest.approx(np.exp(-1))
    )


def test_a_text_is_read_once_for_all_its_predicates(tmp_path):
    task, examples, _ = read(tmp_path, records(1, 40))
    model = predictor(task, examples)
    body = model.model.body.eval()
    inputs = [each for own in task.encode(examples, model.frame) for each in own]
    read_texts, body._read_texts = (
        [],
        lambda batch, inner=body._read_texts: (read_texts.append(len(batch.ids)), inner(batch))[1],
    )
    together = body.read_units(collate(inputs))
    assert sum(read_texts) == len({each.ids.tobytes() for each in inputs}) < len(inputs)
    for row in (0, 1, 2, len(inputs) - 1):
        alone = body.read_units(collate([inputs[row]]))
        torch.testing.assert_close(together[row, : alone.shape[1]], alone[0], rtol=1e-4, atol=1e-5)
    batches = ExampleBatches(inputs, rows=8, seed=0)
    order = np.concatenate(batches._draw_order(0))
    assert sorted(order.tolist()) == list(range(len(inputs)))
    texts = sum(len(np.unique(batches.texts[rows])) for rows in batches._draw_order(0))
    assert texts <= len(np.unique(batches.texts)) + len(batches._draw_order(0))


def test_it_learns_and_is_asked_as_a_person_does(tmp_path):
    train, dev = written(tmp_path / "train.jsonl", records(2, 250)), written(tmp_path / "dev.jsonl", records(3, 40))
    settings = ["model.width=32", "train.threads=1", "train.steps=120", "train.device=cpu"]
    outcome = tune("roles", [train], dev=[dev], out=tmp_path / "run", settings=settings, quiet=True)
    assert outcome["figures"]["dev"]["role F1"]["value"] > 0.9
    assert outcome["figures"]["dev"]["predicate F1"]["value"] > 0.95
    again = score(tmp_path / "run", [dev], device="cpu")
    assert again["figures"]["role F1"]["value"] == outcome["figures"]["dev"]["role F1"]["value"]
    (answer,) = predict(tmp_path / "run", ["Ben buys the stone today and Anna sells the ink"], device="cpu")
    told = {each["text"]: {role["question"]: role["text"] for role in each["roles"]} for each in answer["predicates"]}
    assert told["buys"] == {"who": "Ben", "what": "the stone", "when": "today"}
    assert told["sells"] == {"who": "Anna", "what": "the ink"}
    assert (tmp_path / "run" / "report.html").exists() and (tmp_path / "run" / "errors.html").exists()
    written(tmp_path / "answers.jsonl", [answer])  # what was said can be learned from
    (example,) = Roles().read([str(tmp_path / "answers.jsonl")], Understanding("train", ["answers.jsonl"]))
    assert len(example.predicates) == 2 and not scheme_faults(role_tags(example.predicates[0], len(example.words)))


def test_roles_are_learned_from_the_reader_of_a_tagger(tmp_path):
    """The tagger knows subjects and objects, so that few steps are enough; it was never asked about a word."""
    kinds = {**dict.fromkeys(NAMES, "subject"), **dict.fromkeys(VERBS, "root"), **dict.fromkeys(THINGS, "object")}
    rows = [[f"{word}\t{kinds.get(word, 'other')}" for word in each["tokens"]] for each in records(2, 250)]
    (tmp_path / "relations.conll").write_text("\n\n".join("\n".join(own) for own in rows) + "\n", encoding="utf-8")
    train, dev = written(tmp_path / "train.jsonl", records(2, 250)), written(tmp_path / "dev.jsonl", records(3, 40))
    fixed = ["train.threads=1", "train.device=cpu", "task.yardstick=false"]
    before = ["model.width=32", "train.steps=60", *fixed]
    tune("tag", [str(tmp_path / "relations.conll")], out=tmp_path / "tagger", settings=before, quiet=True)
    settings = [f"task.model={tmp_path / 'tagger'}", "train.steps=60", "train.learning_rate=0.004", *fixed]
    outcome = tune("roles", [train], dev=[dev], out=tmp_path / "run", settings=settings, quiet=True)
    assert outcome["figures"]["dev"]["role F1"]["value"] > 0.9
    assert any(c["name"] == "fresh layers" for c in Run(tmp_path / "run").facts()["plan"]["choices"])
    again = score(tmp_path / "run", [dev], device="cpu")
    assert again["figures"]["role F1"]["value"] == outcome["figures"]["dev"]["role F1"]["value"]
