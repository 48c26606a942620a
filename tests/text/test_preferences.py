"""Pairs of answers as files hold them: every form gives the same, and what is doubtful is named by file and line."""

import json

import pytest

from inkstone.errors import TextError
from inkstone.tasks.understanding import Understanding
from inkstone.text.preferences import Preference, holds_preference, read_preferences

MESSAGES = [
    {"role": "user", "content": "What is 砚?"},
    {"role": "assistant", "content": "A stone."},
    {"role": "user", "content": "What for?"},
]
GOOD, BAD = "To grind ink.", "No idea."


def said(answer):
    return [*MESSAGES, {"role": "assistant", "content": answer}]


def spoken(answer):
    turns = [("Human", "What is 砚?"), ("Assistant", "A stone."), ("Human", "What for?"), ("Assistant", answer)]
    return "".join(f"\n\n{who}: {text}" for who, text in turns)


def read(tmp_path, rows):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    understanding = Understanding("train", [str(path)])
    found = list(read_preferences([path], understanding))
    refused = [
        (place.rpartition(":")[2], reason) for reason, places in understanding.refused.items() for place in places
    ]
    return found, refused, understanding


FORMS = {
    "HH": {"chosen": spoken(GOOD), "rejected": spoken(BAD)},
    "HH, prompt beside": {"prompt": spoken(""), "chosen": GOOD, "rejected": BAD},
    "messages": {"chosen": said(GOOD), "rejected": said(BAD)},
    "prompt of messages": {"prompt": MESSAGES, "chosen": said(GOOD)[-1:], "rejected": said(BAD)[-1:]},
    "answers as texts": {"prompt": MESSAGES, "chosen": GOOD, "rejected": BAD},
    "prompt told twice": {"prompt": "What for?", "chosen": said(GOOD), "rejected": said(BAD)},
    "sharegpt": {
        "conversations": [
            {"from": {"user": "human", "assistant": "gpt"}[each["role"]], "value": each["content"]} for each in MESSAGES
        ],
        "chosen": {"from": "gpt", "value": GOOD},
        "rejected": {"from": "gpt", "value": BAD},
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pair(form, tmp_path):
    (found,), refused, _ = read(tmp_path, [FORMS[form]])
    assert found == Preference(found.place, MESSAGES, GOOD, BAD) and not refused and holds_preference(FORMS[form])
    assert found.text.endswith("What for?\nTo grind ink.\nNo idea.")


def test_instructions_and_system_messages(tmp_path):
    rows = [
        {"instruction": "Say it.", "input": "ink", "chosen": "Ink.", "rejected": "No."},
        {"system": "Be brief.", "prompt": "Why?", "chosen": "So.", "rejected": "Well."},
    ]
    (first, second), _, _ = read(tmp_path, rows)
    assert first.messages == [{"role": "user", "content": "Say it.\nink"}]
    assert second.messages[0] == {"role": "system", "content": "Be brief."} and second.chosen == "So."


def test_doubtful_pairs_are_named(tmp_path):
    rows = [
        {"prompt": "Why?", "chosen": "So.", "rejected": "Well."},
        {"prompt": "Why?", "chosen": "So.", "rejected": "So. "},
        {"prompt": "Why?", "chosen": "So.", "rejected": ""},
        {"prompt": "Why?", "chosen": " ", "rejected": "So."},
        {"chosen": spoken(GOOD), "rejected": spoken(BAD).replace("What for", "Why")},
        {"chosen": spoken(GOOD) + "\n\nHuman: Why?", "rejected": spoken(BAD)},
        {"prompt": "Why?", "chosen": 3, "rejected": "So."},
        {"chosen": "So.", "rejected": "Well."},
        {"prompt": "Now?", "chosen": "So.", "rejected": "Well."},
    ]
    found, refused, _ = read(tmp_path, rows)
    assert [pair.messages[0]["content"] for pair in found] == ["Why?", "Now?"]
    reasons = dict(refused)
    assert list(reasons) == ["2", "3", "4", "5", "6", "7", "8"]
    for line, part in (("2", "are the same"), ("3", "no rejected answer"), ("4", "the chosen answer is empty"),
                       ("5", "different questions"), ("6", "ends with a question"), ("7", "an answer that is a int"),
                       ("8", "instruction")):  # fmt: skip
        assert part in reasons[line], (line, reasons[line])


def test_a_turn_that_speaks_out_of_order_is_refused(tmp_path):
    wrong = "\n\nHuman: a\n\nHuman: b\n\nAssistant: "
    found, refused, _ = read(tmp_path, [{"chosen": wrong + "x", "rejected": wrong + "y"}, FORMS["HH"]])
    assert len(found) == 1 and "a question after a question" in refused[0][1]


def test_a_file_without_a_pair_is_refused(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("", encoding="utf-8")
    with pytest.raises(TextError, match="empty file"):
        list(read_preferences([path], Understanding("train", [])))
