"""Extraction: what is read of a file, the schema, what is written of it; and small models that learn to fill in a form."""

import json
import sys

import numpy as np
import pytest
import torch

from inkstone.cli import main
from inkstone.errors import RecipeError, TextError
from inkstone.inference.schema_check import ConstraintError
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.models.headed import Headed
from inkstone.run import Run
from inkstone.tasks.extract import Extract
from inkstone.tasks.framing import Frame
from inkstone.tasks.predict import Predictor, predict
from inkstone.tasks.scoring import eval as score
from inkstone.tasks.understanding import Understanding
from inkstone.tasks.written import Pair, Said
from inkstone.tokens.example_batches import collate
from inkstone.tokens.learning import learn_tokenizer
from inkstone.training.tuning import tune

SCHEMA = {
    "type": "object",
    "properties": {"what": {"enum": ["ink", "stone"]}, "count": {"type": "integer"}, "who": {"type": "string"}},
    "required": ["what"],
    "additionalProperties": False,
}
WHAT, COLOURS = ("ink", "stone", "paper", "brush"), ("black", "white", "red")


def lines(rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def orders(number, seed):
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        what, colour, urgent = draw.choice(WHAT), draw.choice(COLOURS), bool(draw.integers(2))
        text = f"We need {colour} {what}{' at once' if urgent else ''}."
        rows.append({"text": text, "record": {"urgent": urgent, "what": str(what), "colour": [str(colour)]}})
    return rows


def read(path, rows, part="train", **settings):
    path.write_text(lines(rows), encoding="utf-8")
    task, understanding = Extract(**settings), Understanding(part, [str(path)])
    return task, task.read([str(path)], understanding), understanding


@pytest.fixture
def schema_file(tmp_path) -> str:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    return str(tmp_path / "schema.json")


ROWS = [
    {"text": "Two stones for Ada.", "record": {"who": "Ada", "what": "stone", "count": 2}},
    {"text": "Some paper, please.", "record": {"what": "paper"}},
    {"text": "", "record": {"what": "ink"}},
    {"text": "Ink for 墨子.", "record": {"what": "ink", "who": "墨子"}},
    {"text": "Ink for 墨子.", "record": {"what": "ink", "who": "墨子"}},
    {"text": "A line.", "record": "none"},
]


def test_records_are_read_in_the_order_of_the_schema_and_those_it_does_not_allow_are_left_out(tmp_path, schema_file):
    task, found, understanding = read(tmp_path / "a.jsonl", ROWS, schema_file=schema_file)
    assert [pair.targets[0] for pair in found] == [
        '{"what":"stone","count":2,"who":"Ada"}', *['{"what":"ink","who":"墨子"}'] * 2,
    ]  # fmt: skip
    assert {reason: len(places) for reason, places in understanding.refused.items()} == {
        "the record is not what the schema allows": 1,
        "the text is empty": 1,
        "the record is no JSON": 1,
    }
    assert "the text stands in the file before; both are kept" in understanding.mended
    task.learn(found)
    assert task.schema == SCHEMA
    assert understanding.notices[0].startswith(
        f"schema of {schema_file}: what: one of ink, stone, required; count: integer"
    )


def test_of_dev_and_test_what_cannot_be_met_stays_and_counts(tmp_path, schema_file):
    _, found, understanding = read(tmp_path / "a.jsonl", ROWS, part="test", schema_file=schema_file)
    assert len(found) == 4
    assert "the record is not what the schema allows, so that it cannot be met" in understanding.mended


def test_the_schema_is_that_of_the_training_part_alone(tmp_path):
    task, found, understanding = read(tmp_path / "a.jsonl", orders(40, 0))
    task.learn(found[:30])
    assert task.schema is not None and set(task.schema["properties"]) == {"urgent", "what", "colour"}
    assert "schema of the training records: urgent: boolean, required; what: one of" in understanding.notices[0]
    assert all(task.constraint.accepts(pair.targets[0]) for pair in found[:30])
    again = Extract.of(json.loads(json.dumps(task.to_dict())))
    assert again == task


def test_the_vocabulary_is_small_but_holds_the_characters(tmp_path):
    task, found, _ = read(tmp_path / "a.jsonl", orders(40, 0))
    task.learn(found)
    assert task.largest_vocabulary == 320
    texts = ["端溪石砚三方，送墨子。", "徽州松烟墨两锭，送墨子。", "端溪石砚两方，徽州墨三锭，送松溪。"]
    task, found, _ = read(tmp_path / "b.jsonl", [{"text": text * 9, "record": {"who": "墨子"}} for text in texts])
    task.learn(found)
    assert 320 < task.largest_vocabulary < 380
    tokenizer = learn_tokenizer(iter(task.texts(found)), "byte-bpe", task.largest_vocabulary)
    assert len(tokenizer.encode(texts[0])) <= len(texts[0])


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "unsatisfiable"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "no text can satisfy"),
        ({"tipe": "object"}, "did you mean 'type'"),
    ],
)
def test_schemas_that_no_text_can_satisfy_are_refused_before_anything_is_read(tmp_path, schema, told):
    (tmp_path / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    with pytest.raises(ConstraintError, match=rf"schema\.json: .*{told}"):
        read(tmp_path / "a.jsonl", ROWS, schema_file=str(tmp_path / "schema.json"))


def test_settings_that_cannot_hold():
    with pytest.raises(RecipeError, match="in columns of fields, or in one column"):
        Extract(fields=["a"], target_column="b")


TOKENIZER = learn_tokenizer(iter([lines(orders(60, 5))]), "byte-bpe", 300)


def untrained(continues: bool) -> Headed:
    shape = dict(vocab_size=TOKENIZER.vocab_size, width=16, n_layers=1, n_heads=2, hidden=16, context=96)
    if continues:
        body = Decoder(DecoderSettings(**shape, n_kv_heads=1, head_width=8), TOKENIZER)
    else:
        body = EncoderDecoder(EncoderDecoderSettings(**shape), TOKENIZER)
    generator = torch.Generator().manual_seed(0)
    body.initialise(generator)
    with torch.no_grad():
        for weight in body.parameters():
            weight.add_(0.5 * torch.randn(weight.shape, generator=generator))
    task = Extract(continues=continues)
    return Headed(body.eval(), task.head()).eval()


@pytest.mark.parametrize("continues", [True, False])
@pytest.mark.parametrize("beams", [1, 3])
def test_what_is_written_is_json_of_the_schema_however_little_the_model_knows(continues, beams):
    rows = orders(5, 3)
    recursive = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "string"}]}},
        "required": ["next"],
    }
    for schema, longest in ((SCHEMA, 24), (SCHEMA, 3), (recursive, 12)):
        task = Extract(continues=continues, beams=beams, schema=schema, longest=longest)
        model, pairs = untrained(continues), [Pair(str(n), row["text"]) for n, row in enumerate(rows)]
        encoded = task.encode(pairs, Frame.of(TOKENIZER, 96))
        outputs = task.outputs(model, collate([one for of_one in encoded for one in of_one]))
        for pair, output in zip(pairs, outputs, strict=True):
            answer = task.answer(pair, [output])
            assert task.constraint.accepts(output.text) and 0 <= answer["confidence"] <= 1
            assert answer["record"] == json.loads(output.text)


def test_a_decoder_learns_the_record_alone():
    task = Extract(schema=SCHEMA)
    frame = Frame.of(TOKENIZER, 64)
    pair = Pair("a:1", "Ink for Ada.", ('{"what":"ink","who":"Ada"}',))
    [[encoded]] = task.encode([pair], frame)
    read, written = encoded.ids[~encoded.answers], encoded.ids[encoded.answers]
    assert TOKENIZER.decode(read) == pair.source and read[-1] == TOKENIZER.end
    assert TOKENIZER.decode(written) == pair.targets[0] and written[-1] == TOKENIZER.end
    [[asked]] = task.encode([Pair("a:1", pair.source)], frame)
    assert asked.ids.tolist() == read.tolist() and not asked.answers.any() and not encoded.cut
    [[long]] = task.encode([Pair("a:2", "We need ink. " * 50, pair.targets)], frame)
    assert long.cut and len(long.ids) <= 64 and TOKENIZER.decode(long.ids[long.answers]) == pair.targets[0]


def test_the_context_holds_texts_of_one_length_whole_whoever_asks():
    pairs = [Pair(f"a:{n}", f"{n} stones for Ada.", (f'{{"what":"stone","count":{n},"who":"Ada"}}',)) for n in range(9)]
    task = Extract(schema=SCHEMA)
    before = len(Frame.of(TOKENIZER, 96).before)
    frame = Frame.of(TOKENIZER, max(task.tokens_needed(TOKENIZER, pairs)) + before)
    for [encoded] in task.encode(pairs, frame) + task.encode(task.unanswered(pairs), frame):
        assert not encoded.cut
    for [asked] in task.encode(task.unanswered(pairs), frame):
        assert len(asked.ids) + task.longest <= frame.context


@pytest.mark.parametrize("continues", [True, False])
def test_a_record_that_does_not_fit_is_not_learned_in_part(continues):
    pair = Pair("a:1", "Ink for Ada.", (f'{{"what":"ink","who":"{"Ada " * 60}"}}',))
    task = Extract(schema=SCHEMA, continues=continues)
    [[encoded]] = task.encode([pair], Frame.of(TOKENIZER, 64))
    assert not encoded.taught and TOKENIZER.decode(encoded.ids) == pair.source
    [[encoded]] = task.encode([Pair("a:1", pair.source, ('{"what":"ink"}',))], Frame.of(TOKENIZER, 64))
    assert encoded.taught


def test_a_record_is_learned_in_the_order_in_which_it_may_be_written():
    """The order of the schema that the records have, whatever the order of one of them."""
    pairs = [
        Pair("a:1", "Ink for Ada.", ('{"what":"ink","who":"Ada"}',)),
        Pair("a:2", "Ink for Bo.", ('{"who":"Bo","what":"ink"}',)),
    ]
    task = Extract()
    task.learn(pairs)
    encoded = [one for of_one in task.encode(pairs, Frame.of(TOKENIZER, 64)) for one in of_one]
    written = [TOKENIZER.decode(one.ids[one.answers]) for one in encoded]
    assert written == ['{"what":"ink","who":"Ada"}', '{"what":"ink","who":"Bo"}']
    assert all(map(task.constraint.accepts, written)) and not task.constraint.accepts(pairs[1].targets[0])


def test_the_right_record_has_no_part_in_what_is_asked():
    """Nor has its length, which would say how much of a text that is too long may be read."""
    task, frame = Extract(schema=SCHEMA, longest=30), Frame.of(TOKENIZER, 64)
    records = ('{"what":"ink"}', '{"what":"ink","who":"Ada of the long and winding name"}')
    pairs = [Pair(str(n), "We need ink. " * 50, (record,)) for n, record in enumerate(records)]
    [[short]], [[long]] = (task.encode([pair], frame) for pair in pairs)
    assert (~short.answers).sum() > (~long.answers).sum()
    one, other = Predictor(untrained(True), task, 64), Predictor(untrained(True), task, 64)
    assert one.outputs(pairs[:1]) == other.outputs(pairs[1:])


def test_a_number_beyond_all_bounds_is_told_as_json_can_tell_it():
    said = Said('{"price": -1e999, "count": 2.5}', 0.0, 9)
    record = Extract().answer(Pair("a", "text"), [said])["record"]
    assert record == {"price": -sys.float_info.max, "count": 2.5} and json.dumps(record, allow_nan=False)


def test_figures_are_of_fields_and_of_whole_records():
    task = Extract(schema=SCHEMA)
    examples = [
        Pair("a:1", "x", ('{"what":"ink","who":"Ada"}',)),
        Pair("a:2", "y", ('{"what":"stone","count":2}',)),
    ]
    answers = [{"record": {"what": "ink", "who": "ADA "}}, {"record": {"what": "ink", "count": 2}}]
    measures = task.measures(examples, answers)
    assert measures["field F1"].value == pytest.approx(3 / 4) and measures["exact match"].value == 0.5
    assert task.details(examples, answers)["labels"]["what"]["f1"] == pytest.approx(0.5)
    wrong = task.mistakes(examples, answers)[1]
    assert (wrong["gold"], wrong["predicted"], wrong["right"]) == (
        examples[1].targets[0],
        '{"what":"ink","count":2}',
        False,
    )
    assert wrong["score"] == pytest.approx(0.5)


def test_the_yardstick_is_what_the_training_part_is_better_met_with(tmp_path):
    task, found, _ = read(tmp_path / "a.jsonl", orders(60, 1))
    name, [told] = task.yardstick(found, [found[:10]], 0)
    assert name in ("known values found in the text", "the record of the most similar text")
    assert task.measures(found[:10], told)["field F1"].value > 0.9


@pytest.mark.parametrize("family", ["decoder", pytest.param("encoder_decoder", marks=pytest.mark.slow)])
def test_a_small_model_learns_to_fill_in_a_form(tmp_path, family, capsys):
    for name, number, seed in (("train", 240, 1), ("test", 40, 2)):
        (tmp_path / f"{name}.jsonl").write_text(lines(orders(number, seed)), encoding="utf-8")
    run = tmp_path / "run"
    outcome = tune(
        "extract", [str(tmp_path / "train.jsonl")], test=[str(tmp_path / "test.jsonl")], out=run, quiet=True,
        settings=[
            f"model.family={family}", "model.width=48", "model.n_layers=2", "train.steps=120", "task.epochs=40",
            "task.patience=40", "train.learning_rate=0.004", "train.threads=1", "tokenizer.vocab_size=320", "train.device=cpu",
        ],
    )  # fmt: skip
    figures = outcome["figures"]["test"]
    assert figures["field F1"]["value"] > 0.8
    assert "of the training records" in json.dumps(Run(run).facts()["data"])
    [answer] = predict(run, ["We need red ink."], device="cpu")
    assert set(answer["record"]) == {"urgent", "what", "colour"}
    capsys.readouterr()
    assert main(["predict", str(run), "We need red ink.", "--device", "cpu"]) == 0
    shown, sure = capsys.readouterr().out.rstrip("\n").split("\t")
    assert json.loads(shown) == answer["record"] and float(sure) == pytest.approx(answer["confidence"], abs=1e-3)
    again = score(run, [tmp_path / "test.jsonl"], device="cpu")
    assert again["figures"] == figures


def test_files_without_records(tmp_path):
    with pytest.raises(TextError, match="the only column"):
        read(tmp_path / "a.jsonl", [{"text": "Ink is black."}])
