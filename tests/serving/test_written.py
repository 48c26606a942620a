"""What was written, as the API tells it."""

from inkstone.inference.continuation import Generated
from inkstone.inference.requests import Heard
from inkstone.serving.written import Places, chat_logprobs, completion_logprobs

from .servers import small_decoder

TOKENIZER = small_decoder().tokenizer
INK = tuple(TOKENIZER.encode("ink"))


def ended(*ids: int) -> Heard:
    """A text that ended with these tokens."""
    gained = (-0.5,) * len(ids)
    return Heard("", ids, gained, ((),) * len(ids), Generated("", ids, gained, "end", 1.0))


def test_an_end_that_an_engine_does_not_tell_takes_no_token_from_the_text():
    names = [TOKENIZER.token_text(number) for number in INK]
    for heard, expected in ((ended(), []), (ended(*INK), names), (ended(*INK, TOKENIZER.end), names)):
        told = chat_logprobs(heard, TOKENIZER, {TOKENIZER.end})["content"]
        assert [each["token"] for each in told] == expected
        assert completion_logprobs(heard, TOKENIZER, Places(TOKENIZER, ()), 1)["tokens"] == expected
