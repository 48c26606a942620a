"""Reading semantic roles: both column forms and JSON give the same predicates, and what is doubtful is named by its line."""

import lzma

import pytest

from inkstone.errors import TextError
from inkstone.tasks.understanding import Understanding
from inkstone.text.predicates import Predicate, Role
from inkstone.text.role_tables import read_roles

BRACKETS = """# columns = ID FORM LEMMA UPOS XPOS HEAD DEPREL ROLESET PROPS...
# sent_id = one
1	Bush	Bush	PROPN	NNP	2	nsubj	_	(ARG0*)	(ARG0*)
2	nominated	nominate	VERB	VBD	0	root	nominate.01	(V*)	*
3	two	two	NUM	CD	4	nummod	_	(ARG1*	*
4	men	man	NOUN	NNS	2	obj	_	*)	*
5	to	to	PART	TO	6	mark	_	(ARG2*	*
6	follow	follow	VERB	VB	2	advcl	follow.02	*)	(V*)

# sent_id = two
1	Yes	yes	INTJ	UH	0	root	_
"""
SPANS = """# global.columns = ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC UP:PRED UP:ARGHEADS UP:ARGSPANS
# sent_id = one
1	他	_	_	_	_	_	_	_	_	_	_	_
2	買	_	_	_	_	_	_	_	_	buy.01	A0:1|A1:4	A0:1|A1:3-4
3	舊	_	_	_	_	_	_	_	_	_	_	_
4	書	_	_	_	_	_	_	_	_	_	_	_
"""
JSON = """{"tokens": ["Bush", "nominated", "two", "men"], "predicates": [{"token": 1, "sense": "nominate.01", "roles": [{"tokens": [0, 1], "label": "ARG0"}, {"tokens": [2, 4], "type": "ARG1"}]}]}
{"words": ["Bush", "nominated", "two", "men"], "verbs": [{"verb": "nominated", "tags": ["B-ARG0", "B-V", "B-ARG1", "I-ARG1"]}]}
{"text": "Bush nominated two men", "predicates": [{"start": 5, "end": 14, "roles": [{"start": 0, "end": 4, "label": "ARG0"}, {"start": 15, "end": 22, "label": "ARG1"}]}]}
"""


def read(tmp_path, text, name="data.txt", **how):
    (tmp_path / name).write_text(text, encoding="utf-8")
    notes = Understanding("train", [name])
    return list(read_roles([tmp_path / name], notes, **how)), notes


def test_brackets(tmp_path):
    for text in (BRACKETS, "\n".join(line for line in BRACKETS.split("\n") if not line.startswith("#"))):
        (one, two), notes = read(tmp_path, text)
        assert one.words == ["Bush", "nominated", "two", "men", "to", "follow"] and two.words == ["Yes"]
        assert one.predicates == [
            Predicate(1, 2, (Role(0, 1, "ARG0"), Role(2, 4, "ARG1"), Role(4, 6, "ARG2")), "nominate.01"),
            Predicate(5, 6, (Role(0, 1, "ARG0"),), "follow.02"),
        ]
        assert two.predicates == [] and not notes.refused
        assert notes.columns == {"words": "column 2", "predicates": "column 8"}
    assert one.place.endswith("data.txt:1")


def test_spans_of_universal_propositions(tmp_path):
    (one,), notes = read(tmp_path, SPANS)
    assert one.words == ["他", "買", "舊", "書"] and notes.columns["predicates"] == "column 11"
    assert one.predicates == [Predicate(1, 2, (Role(0, 1, "A0"), Role(2, 4, "A1")), "buy.01")]


def test_json_in_three_forms(tmp_path):
    (tokens, tags, text), notes = read(tmp_path, JSON, "data.jsonl")
    roles = (Role(0, 1, "ARG0"), Role(2, 4, "ARG1"))
    assert tokens.predicates == [Predicate(1, 2, roles, "nominate.01")] and not notes.refused
    assert tags.words == tokens.words and tags.predicates == [Predicate(1, 2, roles)]
    assert text.words == [] and text.predicates == [Predicate(5, 14, (Role(0, 4, "ARG0"), Role(15, 22, "ARG1")))]


@pytest.mark.parametrize(
    ("change", "line", "reason"),
    [
        (("(ARG1*	*\n", "(ARG1*\n"), 5, "2 predicates, but a line has 1 columns of roles"),
        (("(ARG1*	*", "(ARG1*	*)"), 5, "a bracket that closes what was not opened"),
        (
            (
                "4	men	man	NOUN	NNS	2	obj	_	*)",
                "4	men	man	NOUN	NNS	2	obj	_	(ARG3*)",
            ),
            6,
            "inside another one",
        ),
        (
            (
                "6	follow	follow	VERB	VB	2	advcl	follow.02	*)",
                "6	follow	follow	VERB	VB	2	advcl	follow.02	*",
            ),
            7,
            "is not closed",
        ),
        (("(ARG0*)	(ARG0*)", "(ARG0*)	ARG0"), 3, "'ARG0' where brackets are read"),
        (("1	Bush	", "1		"), 3, "a line without a word"),
    ],
)
def test_a_sentence_with_broken_brackets_is_left_out_and_named(tmp_path, change, line, reason):
    assert change[0] in BRACKETS
    found, notes = read(tmp_path, BRACKETS.replace(*change) + "\n" + BRACKETS.replace("sent_id = ", "sent_id = again "))
    assert len(found) == 3
    ((told, places),) = notes.refused.items()
    assert reason in told and places == [f"{tmp_path / 'data.txt'}:{line}"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("A0:1|A1:3-4", "A0:1|A1:3-9", "the role A1:3-9, which leaves its sentence of 4 words"),
        ("A0:1|A1:3-4", "A0:1,2", "'A0:1,2' where a role and its words are read"),
        ("buy.01", "_", "roles of a word that is no predicate"),
    ],
)
def test_broken_spans_are_left_out_and_named(tmp_path, old, new, reason):
    found, notes = read(tmp_path, SPANS.replace(old, new))
    assert not found and reason in next(iter(notes.refused)) and next(iter(notes.refused.values()))[0].endswith(":4")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ('{"tokens": ["a", "b"]}', "without a list of predicates"),
        ('{"predicates": []}', "neither a list of words nor a text"),
        ('{"tokens": ["a", ""], "predicates": []}', "no strings, or empty"),
        ('{"tokens": ["a", "b"], "predicates": [{"token": 2}]}', "empty or leaves its sentence"),
        ('{"tokens": ["a", "b"], "predicates": [{"start": 0, "end": 1}]}', '"tokens": \\[first, stop\\]'),
        ('{"text": "a b", "predicates": [{"tokens": [0, 1]}]}', '"start" and "end"'),
        ('{"tokens": ["a", "b"], "predicates": [{"token": 1, "roles": [{"tokens": [0, 1]}]}]}', "its label"),
        ('{"tokens": ["a", "b"], "predicates": [{"tags": ["B-V"]}]}', "more or fewer tags than words"),
        ('{"tokens": ["a", "b"], "predicates": [{"tags": ["I-V", "O"]}]}', "the tag 'I-V' where BIO has none"),
        ('{"tokens": ["a", "b"], "predicates": [{"tags": ["O", "O"]}]}', "without B-V"),
        ('{"tokens": ["a", "b"], "predicates": ["b"]}', "a predicate that is no object"),
    ],
)
def test_a_broken_record_is_left_out_and_named(tmp_path, record, reason):
    found, notes = read(tmp_path, record + "\n" + JSON, "data.jsonl")
    assert len(found) == 3
    ((told, places),) = notes.refused.items()
    assert reason.replace("\\", "") in told and places[0].endswith("data.jsonl:1")


def test_an_id_that_stands_twice_is_named_and_both_are_kept(tmp_path):
    found, notes = read(tmp_path, BRACKETS + "\n" + BRACKETS)
    assert len(found) == 4 and [len(places) for places in notes.mended.values()] == [2]


def test_the_column_of_words_can_be_named(tmp_path):
    for wanted in ("LEMMA", 3, "3"):
        (one, _), _ = read(tmp_path, BRACKETS, word_column=wanted)
        assert one.words[:2] == ["Bush", "nominate"]
    with pytest.raises(TextError, match=r"task\.text_column = 99 is no column"):
        read(tmp_path, BRACKETS, word_column=99)


@pytest.mark.parametrize("text", ["the DET\nink NOUN\n", "", "# only = a comment\n", "a b c\n"])
def test_files_without_roles_are_refused(tmp_path, text):
    with pytest.raises(TextError, match=r"no roles|empty file|no words"):
        read(tmp_path, text)


def test_packed_files(tmp_path):
    (tmp_path / "data.tsv.xz").write_bytes(lzma.compress(BRACKETS.encode()))
    assert len(list(read_roles([tmp_path / "data.tsv.xz"], Understanding("train", [])))) == 2
