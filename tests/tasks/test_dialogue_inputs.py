"""Conversations that are too long lose their first turns, then the end of the last question, never the system message."""

import numpy as np
import pytest

from inkstone.tasks.dialogue_inputs import asked_input, taught_inputs
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.learning import learn_tokenizer
from tokens.foreign_chat import THOUGHTS

SYSTEM = {"role": "system", "content": "Be brief. 请简短。"}


def user(text):
    return {"role": "user", "content": text}


def answer(text):
    return {"role": "assistant", "content": text}


@pytest.fixture(scope="module")
def template():
    return ChatTemplate.chatml(learn_tokenizer(["ink and stone 砚台 question answer"] * 9, "byte-bpe", 300))


LONG = [SYSTEM, *(turn for n in range(9) for turn in (user(f"question {n} " * 4), answer(f"answer {n}")))]


def spelled(template, ids):
    return template.tokenizer.decode(ids, special=True)


def test_what_fits_stays_whole(template):
    (found,) = taught_inputs(template, LONG, 10_000)
    whole = template.taught(LONG)
    assert not found.cut and found.ids.tolist() == whole.ids.tolist()
    assert found.answers.tolist() == whole.answers.tolist()


@pytest.mark.parametrize("context", [90, 150, 300])
def test_first_turns_go_and_the_system_message_stays(template, context):
    (found,) = taught_inputs(template, LONG, context)
    assert found.cut and len(found.ids) <= context
    kept = next(n for n in range(9) if f"question {n} " in spelled(template, found.ids))
    assert found.ids.tolist() == template.taught([SYSTEM, *LONG[1 + 2 * kept :]]).ids.tolist()
    assert len(template.taught([SYSTEM, *LONG[2 * kept - 1 :]]).ids) > context


def test_a_long_last_question_loses_its_end_and_keeps_its_answer(template):
    talk = [SYSTEM, user("砚台 " * 200), answer("the answer")]
    (found,) = taught_inputs(template, talk, 120)
    text = spelled(template, found.ids)
    assert found.cut and len(found.ids) <= 120 and "Be brief" in text and "砚台 砚台" in text
    assert "the answer<|im_end|>" in text and spelled(template, found.ids[found.answers]) == "the answer<|im_end|>"


def test_a_long_answer_loses_its_end(template):
    (found,) = taught_inputs(template, [user("question"), answer("answer " * 200)], 100)
    assert found.cut and len(found.ids) == 100 and found.answers[-1] and found.answers.sum() > 50


def test_what_is_asked_ends_where_the_answer_begins(template):
    found = asked_input(template, [*LONG, user("last")], 100)
    text = spelled(template, found.ids)
    assert found.cut and len(found.ids) <= 100 and text.endswith("last<|im_end|>\n<|im_start|>assistant\n")
    assert "Be brief" in text and not found.answers.any()
    long = asked_input(template, [SYSTEM, user("砚台 " * 300)], 100)
    assert len(long.ids) <= 100 and spelled(template, long.ids).endswith("<|im_start|>assistant\n")


def test_answers_that_later_turns_change_are_learned_each_by_itself(template):
    template = ChatTemplate(THOUGHTS, template.tokenizer)
    talk = [user("one"), answer("<think>\nsome\n</think>\n\n1"), user("two"), answer("<think>\nmore\n</think>\n\n2")]
    inputs = taught_inputs(template, talk, 10_000)
    assert len(inputs) == 2
    for number, found in enumerate(inputs):
        whole = template.taught(talk[: 2 * number + 2], last_only=True)
        np.testing.assert_array_equal(found.ids, whole.ids)
        np.testing.assert_array_equal(found.answers, whole.answers)
