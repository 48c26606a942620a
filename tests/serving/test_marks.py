"""What follows from marks, and what is no mark."""

import pytest

from inkstone.serving.marks import MOST_OF_QUESTION, Mark, MarkError, checked, learnable


def asked(question="Why?"):
    return [{"role": "user", "content": question}]


def vote(kind, answer, question="Why?"):
    return checked(kind, asked(question), answer)


def better(answer, other, question="Why?"):
    return checked("better", asked(question), answer, other)


def answers(found):
    return [(pair.chosen, pair.rejected) for pair in found.pairs]


def test_a_comparison_is_a_pair_and_every_good_answer_is_above_every_bad_one():
    found = learnable([better("a", "b"), vote("up", "c"), vote("down", "d"), vote("up", "e")])
    assert answers(found) == [("a", "b"), ("c", "d"), ("e", "d")]
    assert found.pairs[0].record() == {"prompt": asked(), "chosen": "a", "rejected": "b"}
    assert not found.ups and not found.downs


def test_answers_to_other_questions_make_no_pair():
    found = learnable([vote("up", "a", "Why?"), vote("down", "b", "When?")])
    assert not found.pairs and [mark.answer for mark in found.ups] == ["a"] and found.downs[0].answer == "b"


def test_questions_differ_by_what_was_said_before_them():
    history = [*asked("Hello"), {"role": "assistant", "content": "Hi"}, *asked()]
    found = learnable([vote("up", "a"), checked("down", history, "b")])
    assert not found.pairs


def test_pairs_that_say_the_opposite_are_both_left_out():
    found = learnable([better("a", "b"), vote("up", "b"), vote("down", "a"), vote("down", "c")])
    assert answers(found) == [("b", "c")] and found.opposed == 2


def test_the_later_of_two_votes_counts_and_the_same_pair_counts_once():
    found = learnable([vote("up", "a"), vote("down", "a "), vote("up", "b"), better("b", "a")])
    assert [(chosen, rejected.strip()) for chosen, rejected in answers(found)] == [("b", "a")]


def test_no_question_gives_more_pairs_than_its_share():
    marks = [vote("up", f"good {n}") for n in range(5)] + [vote("down", f"bad {n}") for n in range(5)]
    assert len(learnable(marks).pairs) == MOST_OF_QUESTION


@pytest.mark.parametrize(
    ("kind", "messages", "answer", "other", "reason"),
    [
        ("fine", asked(), "a", None, "one of up, down, better"),
        ("up", [], "a", None, "a user's last"),
        ("up", [*asked(), *asked()], "a", None, "a user's last"),
        ("up", [*asked(), {"role": "assistant", "content": "b"}], "a", None, "a user's last"),
        ("up", [{"role": "tool", "content": "b"}], "a", None, "needs a role"),
        ("up", ["Why?"], "a", None, "needs a role"),
        ("up", asked("  "), "a", None, "is empty"),
        ("up", asked(), " ", None, "the answer is empty"),
        ("up", asked(), "a", "b", "needs the other answer"),
        ("better", asked(), "a", None, "needs the other answer"),
        ("better", asked(), "a", "a ", "or the same"),
        ("up", asked("x" * 400_001), "a", None, "400,000 characters"),
    ],
)
def test_what_is_no_mark_is_refused(kind, messages, answer, other, reason):
    with pytest.raises(MarkError, match=reason):
        checked(kind, messages, answer, other)


def test_a_system_message_may_stand_first():
    messages = [{"role": "system", "content": "Be brief."}, *asked()]
    assert checked("up", messages, "a").to_dict()["messages"] == messages
    assert Mark("up", tuple(messages), "a").question != vote("up", "a").question


def test_settings_are_what_json_can_hold():
    drawn = {"top_p": float("nan")}
    with pytest.raises(MarkError, match="settings"):
        checked("up", asked(), "b", settings=drawn)
    kept = checked("up", asked(), "b", settings={"stop": ["\ud83d", {"\udcff": 1}]}).settings
    assert kept == {"stop": ["\ufffd", {"\ufffd": 1}]}
