"""Conversations as files hold them: every form gives the same, and what is doubtful is named by file and line."""

import json

import pytest

from inkstone.errors import TextError
from inkstone.tasks.understanding import Understanding
from inkstone.text.conversations import read_conversations

TURNS = [("system", "Be brief."), ("user", "什么是砚台？"), ("assistant", "An inkstone."), ("user", "Why?"), ("assistant", "To grind ink.")]  # fmt: skip
MESSAGES = [{"role": role, "content": content} for role, content in TURNS]
GPT = {"system": "system", "user": "human", "assistant": "gpt"}


def read(tmp_path, rows, name="a.jsonl"):
    path = tmp_path / name
    if not isinstance(rows, str):
        rows = "\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(rows, encoding="utf-8")
    understanding = Understanding("train", [str(path)])
    dialogues = list(read_conversations([path], understanding))
    faults = {
        kind: [(place.removeprefix(str(path)), reason) for reason, places in found.items() for place in places]
        for kind, found in (("mended", understanding.mended), ("refused", understanding.refused))
    }
    return dialogues, faults, understanding


def turns(dialogue):
    return [(message["role"], message["content"]) for message in dialogue.messages]


def test_every_form_gives_the_same_conversation(tmp_path):
    history = [[TURNS[1][1], TURNS[2][1]]]
    forms = {
        "messages": {"messages": MESSAGES, "prompt": "what it began with"},
        "system beside": {"system": "Be brief.", "messages": MESSAGES[1:]},
        "sharegpt": {"conversations": [{"from": GPT[role], "value": content} for role, content in TURNS]},
        "sharegpt, system beside": {
            "id": "x",
            "system": "Be brief.",
            "conversations": [{"from": GPT[role].upper(), "value": content} for role, content in TURNS[1:]],
        },
        "parts": {
            "messages": [{"role": role, "content": [{"type": "text", "text": content}]} for role, content in TURNS]
        },
        "alpaca": {
            "instruction": "Why?",
            "input": "",
            "output": "To grind ink.",
            "system": "Be brief.",
            "history": history,
        },
        "other names": {
            "Prompt": "Why?",
            "response": "To grind ink.",
            "system_prompt": "Be brief.",
            "history": history,
        },
    }
    dialogues, faults, understanding = read(tmp_path, list(forms.values()))
    assert [turns(dialogue) for dialogue in dialogues] == [TURNS] * len(forms)
    assert [dialogue.place[-1] for dialogue in dialogues] == [str(line) for line in range(1, len(forms) + 1)]
    assert faults == {"mended": [], "refused": []}
    assert understanding.columns == {
        "conversation": "messages", "system message": "system", "earlier turns": "history", "instruction": "instruction",
        "input": "input", "answer": "output",
    }  # fmt: skip
    whole, _, _ = read(tmp_path, json.dumps(list(forms.values()), indent=1), "a.json")
    assert [dialogue.messages for dialogue in whole] == [dialogue.messages for dialogue in dialogues]


def test_an_input_stands_below_its_instruction(tmp_path):
    rows = [
        {"instruction": "Translate.", "input": "砚", "output": "inkstone"},
        {"instruction": "", "input": "砚", "output": "inkstone"},
        {"question": "What is it?", "context": "砚", "answer": "inkstone"},
        {
            "instruction": "Translate.",
            "instances": [{"input": "砚", "Output": "inkstone"}, {"input": "墨", "output": "ink"}],
        },
    ]
    dialogues, faults, _ = read(tmp_path, rows)
    asked = [turns(dialogue)[0][1] for dialogue in dialogues]
    assert asked == ["Translate.\n砚", "砚", "What is it?\n砚", "Translate.\n砚", "Translate.\n墨"]
    assert [turns(dialogue)[1][1] for dialogue in dialogues] == ["inkstone"] * 4 + ["ink"]
    assert not faults["mended"] and not faults["refused"]


def test_a_table_is_read_as_well(tmp_path):
    dialogues, _, _ = read(tmp_path, 'instruction,input,output\nTranslate.,砚,inkstone\n"Say ""ink"".",,ink\n', "a.csv")
    assert [turns(dialogue) for dialogue in dialogues] == [
        [("user", "Translate.\n砚"), ("assistant", "inkstone")],
        [("user", 'Say "ink".'), ("assistant", "ink")],
    ]


@pytest.mark.parametrize("further", [None, "two\n\nlines"])
def test_the_words_around_an_instruction_are_left_out(tmp_path, further):
    frame = "Below is an instruction that describes a task. Write a response.\n\n### Instruction:\nSay so.\n\n"
    frame += f"### Input:\n{further}\n\n" if further else ""
    dialogues, faults, _ = read(tmp_path, [{"prompt": frame + "### Response:\n", "response": "So."}])
    asked = "Say so." + (f"\n{further}" if further else "")
    assert turns(dialogues[0]) == [("user", asked), ("assistant", "So.")]
    assert [place for place, _ in faults["mended"]] == [":1"] and "Alpaca" in faults["mended"][0][1]


def conversation(*said):
    return {"messages": [{"role": role, "content": content} for role, content in said]}


U, A, S = ("user", "q"), ("assistant", "a"), ("system", "s")


@pytest.mark.parametrize(
    ("row", "kept", "place", "words"),
    [
        (conversation(U, A, U), [U, A], ":1 message 3", "the last question has no answer"),
        (conversation(U, A, U, ("assistant", " ")), [U, A], ":1 message 3", "the last question has no answer"),
        (conversation(A, U, A), [U, A], ":1 message 1", "begins with an answer to nothing"),
        (conversation(S, A, U, A), [S, U, A], ":1 message 2", "begins with an answer to nothing"),
        (conversation(("system", ""), U, A), [U, A], ":1 message 1", "an empty system message"),
        (conversation(U, ("assistant", 4)), [U, ("assistant", "4")], ":1 message 2", "a number in place of a text"),
        ('{"messages": [{"role": "user", "content": "\\ud83d\\ude00\\ud83d"}, {"role": "assistant", "content": "a"}]}',
         [("user", "😀�"), A], ":1 message 1", "half of a surrogate pair"),
    ],
)  # fmt: skip
def test_what_can_be_meant_in_one_way_only_is_mended(tmp_path, row, kept, place, words):
    dialogues, faults, _ = read(tmp_path, [row])
    assert [turns(dialogue) for dialogue in dialogues] == [kept]
    assert faults["refused"] == [] and len(faults["mended"]) == 1
    assert faults["mended"][0][0] == place and words in faults["mended"][0][1]


@pytest.mark.parametrize(
    ("row", "place", "reason"),
    [
        (conversation(U, U, A), ":1 message 2", "a question after a question"),
        (conversation(U, A, A), ":1 message 3", "an answer after an answer"),
        (conversation(A, A, U, A), ":1 message 2", "an answer after an answer"),
        (conversation(U, S, A), ":1 message 2", "a system message that is not the first message"),
        (conversation(S, S, U, A), ":1 message 2", "a system message that is not the first message"),
        (conversation(U, ("assistant", "\n"), U, A), ":1 message 2", "an empty message"),
        (conversation((" ", "q"), A), ":1 message 1", "the role ' ', which is none of system, user, assistant"),
        (conversation(("", "q"), A), ":1 message 1", "the role '', which is none of system, user, assistant"),
        (conversation(("user", "  "), A), ":1 message 1", "an empty message"),
        (conversation(U), ":1 message 1", "a question without an answer"),
        (conversation(S, U, ("assistant", "")), ":1 message 2", "a question without an answer"),
        (conversation(A), ":1", "an answer without a question"),
        (conversation(S), ":1", "no message of user or assistant"),
        (conversation(), ":1", "no message of user or assistant"),
        (conversation(("function_call", "x"), A), ":1 message 1", "the role 'function_call', which is none of system, user, assistant"),
        (conversation(U, ("assistant", None)), ":1 message 2", "a message whose content is no text"),
        (conversation(U, ("assistant", True)), ":1 message 2", "a message whose content is no text"),
        ({"messages": ["hello"]}, ":1 message 1", "a message that is no object with its role and its content"),
        ({"messages": [{"content": "q"}]}, ":1 message 1", "a message without a role"),
        ({"instruction": "q", "output": ""}, ":1", "a question without an answer"),
        ({"instruction": "q", "output": None}, ":1", "a question without an answer"),
        ({"instruction": "", "input": "", "output": "a"}, ":1", "an empty message"),
        ({"instruction": "q"}, ":1", "neither a list of messages nor an answer; there is only: instruction"),
        ({"output": "a", "x": 1}, ":1", "neither a list of messages nor an instruction; there is only: output, x"),
        ({"instruction": "q", "output": "a", "history": "no"}, ":1", "a history that is no list of pairs of a question and an answer"),
        ({"instruction": "q", "output": "a", "history": [["q", ""]]}, ":1 turn 1 of its history", "an empty message"),
        ({"instruction": "q", "instances": []}, ":1", "an instruction without an instance"),
        ({"instruction": "q", "instances": ["a"]}, ":1 instance 1", "an instance that is no object"),
        ({"instruction": "q", "instances": [{"output": ["a"]}]}, ":1 instance 1", "a message whose content is no text"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_left_out_and_named(tmp_path, row, place, reason):
    dialogues, faults, _ = read(tmp_path, [row, conversation(U, A)])
    assert [turns(dialogue) for dialogue in dialogues] == [[U, A]]
    assert faults == {"mended": [], "refused": [(place, reason)]}


def test_faults_of_one_kind_are_counted_together_and_most_rows_must_be_good(tmp_path):
    bad = [conversation(U, U, A)] * 3
    dialogues, _, understanding = read(tmp_path, ["{", *bad, *[conversation(U, A)] * 4])
    understanding.close(len(dialogues))
    told = "\n".join(understanding.lines())
    assert "3 rows left out: a question after a question" in told and "1 malformed" in told
    dialogues, _, understanding = read(tmp_path, [*bad, conversation(U, A)])
    with pytest.raises(TextError, match="1 examples, and 3 rows that cannot be used"):
        understanding.close(len(dialogues))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count", "longer", "mended"),
    [
        ("instruct-dolly-hhrlhf-1k/dolly_hhrlhf_train_small", 1000, 0, 1000),
        ("instruct-dolly-pairs-3k/dolly_pairs", 3000, 0, 0),
        ("instruct-self-instruct-human/seed_tasks", 175, 0, 0),
        ("instruct-self-instruct-human/user_oriented_instructions", 252, 0, 0),
        ("instruct-oasst-zh/oaast_sft_zh", 766, 524, 0),
    ],
)
def test_public_sets_are_read_whole(data_mirror, name, count, longer, mended):
    understanding = Understanding("train", [str(data_mirror / f"{name}.jsonl.xz")])
    dialogues = list(read_conversations(understanding.sources, understanding))
    assert len(dialogues) == count
    assert sum(len(dialogue.messages) > 2 for dialogue in dialogues) == longer
    assert understanding.refused == {} and sum(map(len, understanding.mended.values())) == mended
    assert not any("###" in message["content"] for dialogue in dialogues[:1000] for message in dialogue.messages[:1])
