"""Conversations as a decoder reads them: in the tokens of its chat template, with marks at those that it is to write.

One that is longer than the context loses its first turns, the system message never; where the last question with its answer is longer
still, the end of the question goes, down to a part of the context, then the end of the answer, and at last the beginning of all.
"""

from collections.abc import Callable, Sequence

import numpy as np

from inkstone.tokens.chat_template import ChatTemplate, ChatTemplateError, Message, TaughtTokens
from inkstone.tokens.example_batches import Encoded

LEAST_OF_QUESTION = 0.5  # of the context, that a last question keeps where it is cut
LEAST_OF_ANSWER = 4  # at least such a part of the context is the answer's, if it is as long
TRIES = 3  # a text that was cut may have a few tokens more than those it was cut to


def taught_inputs(template: ChatTemplate, messages: Sequence[Message], context: int) -> list[Encoded]:
    """A whole conversation as one input, all its answers to be written.

    Where the template writes earlier turns otherwise once later ones follow, each answer is an input of its own. Raises
    ChatTemplateError for a conversation that the template refuses.
    """
    try:
        return [_input(template, messages, context, last_only=False)]
    except ChatTemplateError:
        ends = [number for number, message in enumerate(messages, 1) if message["role"] == "assistant"]
        return [last_answer_input(template, messages[:end], context) for end in ends]


def last_answer_input(template: ChatTemplate, messages: Sequence[Message], context: int) -> Encoded:
    """A conversation of which only the last message, an answer, is to be written. Raises ChatTemplateError."""
    return _input(template, messages, context, last_only=True)


def asked_input(template: ChatTemplate, messages: Sequence[Message], context: int) -> Encoded:
    """A conversation up to where its next answer begins, of at most so many tokens."""

    def read(kept: Sequence[Message]) -> TaughtTokens:
        ids = np.array(template.ids(kept, add_generation_prompt=True), dtype=np.int64)
        return TaughtTokens(ids, np.zeros(len(ids), dtype=bool))

    found, cut = fitted(read, template, messages, context)
    return Encoded(found.ids[-context:], answers=found.answers[-context:], cut=cut)


def _input(template: ChatTemplate, messages: Sequence[Message], context: int, last_only: bool) -> Encoded:
    found, cut = fitted(lambda kept: template.taught(kept, last_only=last_only), template, messages, context)
    first = int(found.answers.argmax())
    # Where even the system message leaves no room, what stands before the answer loses its beginning.
    begin = max(0, min(len(found.ids), first + max(1, context // LEAST_OF_ANSWER)) - context)
    answers = found.answers[begin : begin + context].copy()
    answers[:1] = False  # before the first token nothing was read
    return Encoded(found.ids[begin : begin + context], answers=answers, cut=cut)


def fitted(
    read: Callable[[Sequence[Message]], TaughtTokens],
    template: ChatTemplate,
    messages: Sequence[Message],
    context: int,
    question: int | None = None,
) -> tuple[TaughtTokens, bool]:
    """What `read` makes of as many of the messages as fit, and whether something was left out.

    It may still be longer than the context, by the end of an answer. `question`: the tokens that a last question keeps at least.
    """
    found, cut = read(messages), False
    while len(found.ids) > context and (fewer := without_first_turn(messages)) is not None:
        messages, cut = fewer, True
        found = read(messages)
    asked = max((n for n, message in enumerate(messages) if message["role"] == "user"), default=None)
    if len(found.ids) <= context or asked is None:
        return found, cut or len(found.ids) > context
    tokenizer, content = template.tokenizer, messages[asked]["content"]
    ids = tokenizer.encode(content)
    least = int(LEAST_OF_QUESTION * context) if question is None else question
    kept = len(ids)
    for _ in range(TRIES):
        kept = max(min(least, len(ids)), kept - (len(found.ids) - context))
        shorter = tokenizer.decode(ids[:kept]).rstrip("\ufffd")
        found = read([*messages[:asked], {**messages[asked], "content": shorter}, *messages[asked + 1 :]])
        if len(found.ids) <= context or kept <= least:
            break
    return found, True


def without_first_turn(messages: Sequence[Message]) -> list[Message] | None:
    """The conversation without its first question and answer; None where only one question is left.

    >>> turns = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user")]
    >>> [message["role"] for message in without_first_turn(turns)]
    ['system', 'user']
    """
    begin = next((n for n, message in enumerate(messages) if message["role"] == "user"), len(messages))
    after = next((n for n in range(begin + 1, len(messages)) if messages[n]["role"] == "user"), None)
    return None if after is None else [*messages[:begin], *messages[after:]]
