"""Questions with answers as files hold them: every form gives the same, and what is none is named."""

import json

import pytest

from inkstone.text.squad import placed_answer, read_questions

CONTEXT = "The inkstone of Duan Xi is purple. 端砚是紫色的。"
QAS = [
    {"id": "1", "question": "What colour is it?", "answers": [{"text": "purple", "answer_start": 27}]},
    {"id": "2", "question": "端砚是什么颜色？", "answers": [{"text": "紫色", "answer_start": 38}, {"text": "紫", "answer_start": 38}]},
]  # fmt: skip
PARAGRAPH = {"title": "Ink", "context": CONTEXT, "qas": QAS}


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return str(path)


def flat(asked):
    return [(each.name, each.question, each.context, each.answers, each.impossible, each.fault) for each in asked]


def test_every_form_gives_the_same_questions(tmp_path):
    whole = {"version": "1.1", "data": [{"title": "Ink", "paragraphs": [{"context": CONTEXT, "qas": QAS}]}]}
    columns = [
        {
            **{key: each[key] for key in ("id", "question")},
            "context": CONTEXT,
            "answers": {
                "text": [answer["text"] for answer in each["answers"]],
                "answer_start": [answer["answer_start"] for answer in each["answers"]],
            },
        }
        for each in QAS
    ]
    expected = [
        (e["id"], e["question"], CONTEXT, tuple((a["text"], a["answer_start"]) for a in e["answers"]), False, None) for e in QAS
    ]  # fmt: skip
    assert expected[1][2][38:40] == "紫色"
    for name, content in {
        "one_line.json": whole,
        "laid_out.json": json.dumps(whole, ensure_ascii=False, indent=1),
        "articles.json": whole["data"],
        "paragraphs.jsonl": PARAGRAPH,
        "columns.jsonl": "\n".join(json.dumps(each, ensure_ascii=False) for each in columns),
    }.items():
        assert flat(read_questions([written(tmp_path, name, content)])) == expected, name


def test_a_table_has_one_answer_a_row(tmp_path):
    path = written(
        tmp_path, "qa.csv", f'id,question,context,answer,answer_start\n7,What colour?,"{CONTEXT}",purple,27\n'
    )
    assert flat(read_questions([path])) == [("7", "What colour?", CONTEXT, (("purple", 27),), False, None)]
    path = written(tmp_path, "qa.tsv", f"问题\t正文\t答案\n颜色？\t{CONTEXT}\t紫色\n")
    assert flat(read_questions([path]))[0][1:4] == ("颜色？", CONTEXT, (("紫色", None),))


def test_questions_without_an_answer(tmp_path):
    qas = [
        {"id": "a", "question": "Who?", "answers": [], "is_impossible": True, "plausible_answers": [{"text": "Duan"}]}
    ]
    (one,) = read_questions([written(tmp_path, "two.jsonl", {**PARAGRAPH, "qas": qas})])
    assert one.impossible and not one.answers
    row = {"question": "Who?", "context": CONTEXT, "answers": {"text": [], "answer_start": []}}
    (other,) = read_questions([written(tmp_path, "columns.jsonl", row)])
    assert other.impossible


def test_what_is_no_question_comes_with_its_fault_and_place(tmp_path):
    lines = [
        {"question": "Why?"},
        {"question": "Why?", "context": CONTEXT, "answers": [{"answer": "purple"}]},
        {"question": ["Why?"], "context": CONTEXT},
        {"context": CONTEXT, "qas": ["Why?"]},
        {"paragraphs": [{"context": CONTEXT}]},
        {"question": "Why?", "context": CONTEXT, "answers": [{"text": "purple", "answer_start": "there"}]},
    ]
    path = written(tmp_path, "bad.jsonl", "\n".join(map(json.dumps, lines)))
    faults = [(asked.place.removeprefix(path), asked.fault) for asked in read_questions([path])]
    assert [place for place, _ in faults] == [":1", ":2", ":3", ":4 question 1", ":5 paragraph 1", ":6"]
    for (_, fault), words in zip(
        faults, ("no context", "SQuAD's form", "no text", "no object", "without a list", "no whole number"), strict=True
    ):
        assert words in (fault or "")


@pytest.mark.parametrize(
    "text, start, place, words",
    [
        ("purple", 27, 27, None),
        ("purple", 25, 27, "one other place"),  # a little beside
        ("purple", 0, 27, "one other place"),  # far beside, but there is only one
        ("green", 3, None, "does not stand"),
        ("i", 10_000, None, "several other places"),
        ("i", None, 4, "several places; the first"),
        ("i", -1, 4, "several places; the first"),
        ("purple", None, 27, None),
    ],
)
def test_an_answer_is_where_its_offset_says_or_where_it_can_only_be(text, start, place, words):
    context = CONTEXT.lower()
    found, fault = placed_answer(context, text, start)
    assert found == place
    assert (fault is None) if words is None else words in (fault or "")
    if found is not None:
        assert context[found : found + len(text)] == text


def test_of_several_places_the_one_nearby_is_meant():
    context = "ink " + "x" * 200 + " ink"
    assert placed_answer(context, "ink", 203)[0] == 205
    assert placed_answer(context, "ink", 100)[0] is None
    assert placed_answer("ink, ink", "ink", 2)[0] is None  # two are nearby
