"""Chat: a decoder learns from conversations to answer, and stays a language model that opens as any other.

    loss = −(1/n) Σ log p(tᵢ | what was said before it),        over the n tokens of answers alone

What the system and the user say is read, never learned. An answer's tokens are its own and the one that ends its turn, so that the model
learns to stop. Conversations are packed several to a row, each by itself: attention stays inside it and positions begin with it.

The figures are of answers that are given, not of those the model would write: nats a token, the perplexity e^nats, and bits per byte,
which does not depend on the tokenizer. Where the answers are short, the model also writes them: exact match.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.intervals import ratio
from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.models.headed import Headed
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.conversing import LEAST_WRITTEN, ConversingSettings, ids_of_texts, nats_of_texts, written_greedily
from inkstone.tasks.dialogue_inputs import taught_inputs
from inkstone.tasks.framing import Frame
from inkstone.tasks.understanding import Understanding
from inkstone.text.conversation_records import Misread, said_in
from inkstone.text.conversations import Dialogue, read_conversations
from inkstone.tokens.chat_template import ChatTemplateError
from inkstone.tokens.example_batches import Encoded, ExampleBatch

SHORT_SHARE = 0.05  # of the training part's last answers that are short: then exact match is a figure


@dataclass(frozen=True)
class Heard:
    """What the model says to one conversation: how likely its answers are, and the last answer where it was written."""

    nats: float
    tokens: int
    bytes: int
    text: str | None  # what the model writes
    gold: str | None  # the last answer, where that is known


@dataclass
class Chat(ConversingSettings):
    """The task."""

    exact: int = 32  # characters of a short answer, which is written and compared
    short: bool | None = None  # whether the training part has such answers; None: not learned yet

    name: ClassVar[str] = "chat"
    score: ClassVar[str] = "answer loss"
    counted_in: ClassVar[str] = "token"

    def __post_init__(self) -> None:
        """Refuse settings that cannot hold."""
        super().__post_init__()
        if self.exact < 0:
            raise RecipeError(
                f"task.exact = {self.exact}, but must be at least 0 (no answer is written to be compared)"
            )

    @staticmethod
    def reads(record: Mapping[str, Any]) -> bool:
        """Whether a record is a conversation."""
        return not isinstance(next(said_in(record)), Misread)

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Dialogue]:
        """The conversations of files, in any of the forms of `text/conversations.py`."""
        found = list(read_conversations(sources, understanding))
        understanding.look_at([dialogue.text for dialogue in found])
        understanding.close(len(found))
        return found

    def learn(self, examples: Sequence[Dialogue]) -> None:
        """Take from the training part whether its answers are short."""
        last = [dialogue.messages[-1]["content"].strip() for dialogue in examples]
        if self.short is None:
            self.short = sum(self._is_short(answer) for answer in last) >= max(1, SHORT_SHARE * len(last))

    def _is_short(self, answer: str) -> bool:
        return 0 < len(answer) <= self.exact

    def texts(self, examples: Sequence[Dialogue]) -> list[str]:
        """All that is said."""
        return [message["content"] for dialogue in examples for message in dialogue.messages]

    def lengths(self, examples: Sequence[Dialogue]) -> list[int]:
        """Tokens of each conversation, by its template; how long an answer may be is learned from them, too."""
        lengths, answers = [], []
        for dialogue in examples:
            inputs = self._taught(dialogue, 1 << 30)
            lengths.append(max(len(each.ids) for each in inputs))
            answers.append(max(int(each.answers.sum()) for each in inputs if each.answers is not None))
        self.learn_length(answers)
        return lengths

    def _taught(self, dialogue: Dialogue, context: int) -> list[Encoded]:
        try:
            return taught_inputs(self.template_of(), dialogue.messages, context)
        except ChatTemplateError as error:
            raise TextError(f"{dialogue.place}: {error}") from None

    def encode(self, examples: Sequence[Dialogue], frame: Frame) -> list[list[Encoded]]:
        """Each conversation with marks at its answers; one that ends with a question as what the answer follows."""
        encoded = []
        for dialogue in examples:
            if dialogue.messages[-1]["role"] == "assistant":
                encoded.append(self._taught(dialogue, frame.context))
            else:
                encoded.append([self.asked_input(dialogue, frame.context)])
        return encoded

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of a token of the answers."""
        states, wanted, _ = model.states_before(batch)
        return linear_cross_entropy(states, model.body.output_weight, wanted)

    def nats(self, model: Headed, batch: ExampleBatch) -> tuple[float, int]:
        """The nats of the tokens of answers, summed, and their number."""
        _, _, each, _ = nats_of_texts(model, batch)
        return float(each.detach().double().sum()), len(each)

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[Heard]:
        """How likely the answers are; what has none is answered, and so is what has a short one."""
        nats, tokens, _, _ = nats_of_texts(model, batch)
        tokenizer, texts = model.tokenizer, ids_of_texts(batch)
        golds, sizes, writing = [], [], []
        for number, (ids, answers) in enumerate(texts):
            spans = spans_of(answers)
            golds.append(tokenizer.decode(ids[slice(*spans[-1])]).strip() if spans else None)
            sizes.append(sum(len(tokenizer.decode(ids[begin:stop]).encode()) for begin, stop in spans))
            if golds[-1] is None or (self.short and self._is_short(golds[-1])):
                begin, stop = spans[-1] if spans else (len(ids), len(ids) + (self.longest or LEAST_WRITTEN))
                writing.append((number, ids[:begin], stop - begin + (1 if spans else 0)))
        said = written_greedily(
            model.body, [ids for _, ids, _ in writing], [limit for *_, limit in writing], self.template_of().ends
        )
        found: dict[int, str] = {number: text.strip() for (number, *_), text in zip(writing, said, strict=True)}
        return [
            Heard(float(nats[number]), int(tokens[number]), sizes[number], found.get(number), golds[number])
            for number in range(len(texts))
        ]

    def answer(self, example: Dialogue, outputs: Sequence[Heard]) -> Answer:
        """What is written; of answers that are known how likely they are, and whether the last one is met."""
        last = outputs[-1]
        if last.gold is None:
            return {"answer": last.text}
        nats, tokens, size = (sum(getattr(each, name) for each in outputs) for name in ("nats", "tokens", "bytes"))
        met = None if last.text is None else " ".join(last.text.split()) == " ".join(last.gold.split())
        return {"answer": last.text, "exact": met, "nats": nats, "tokens": tokens, "bytes": size}

    def measures(self, examples: Sequence[Dialogue], answers: Sequence[Answer]) -> dict[str, Measure]:
        """Nats a token, perplexity and bits per byte of the answers; of short ones the share that is met."""
        told = np.array([[answer["nats"], answer["tokens"], answer["bytes"]] for answer in answers], dtype=np.float64)
        nats, bits = told[:, :2], told[:, [0, 2]] / [math.log(2), 1.0]
        found = {
            "answer loss": Measure(nats, ratio, "nats a token", lower_is_better=True),
            "perplexity": Measure(nats, perplexity, "plain", lower_is_better=True),
            "bits per byte": Measure(bits, ratio, "plain", lower_is_better=True),
        }
        if self.short:
            exact = [[answer["exact"] is True, answer["exact"] is not None] for answer in answers]
            found["exact match"] = Measure(np.array(exact, dtype=np.float64).reshape(-1, 2), ratio)
        return found

    def mistakes(self, examples: Sequence[Dialogue], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """What was asked, the last answer, and what was written; the score is the mean probability of a token."""
        return [
            {
                "place": example.place,
                "text": "\n\n".join(message["content"] for message in example.messages[:-1]),
                "gold": example.messages[-1]["content"],
                "predicted": answer["answer"] or "",
                "right": answer["exact"] is True,
                "score": 1.0 if answer["exact"] else math.exp(-answer["nats"] / max(1, answer["tokens"])),
                "loss": answer["nats"] / max(1, answer["tokens"]),
            }
            for example, answer in zip(examples, answers, strict=True)
        ]

    def as_it_began(self) -> str:
        """What the figures before the first step are of."""
        return "as it began"

    def samples(self, model: Headed, examples: Sequence[Dialogue]) -> list[dict[str, Any]]:
        """The likeliest answers to the last questions of a few conversations, with those that are known."""
        return self.sample_answers(model, [(each.messages[:-1], each.messages[-1]["content"]) for each in examples])


def perplexity(sums: Float[np.ndarray, "*rest 2"]) -> Float[np.ndarray, "*rest"]:
    """e to the nats a token, of statistics (nats, tokens)."""
    return np.exp(np.minimum(ratio(sums), 700.0))


def spans_of(answers: Sequence[bool]) -> list[tuple[int, int]]:
    """First and stop of each stretch of answers.

    >>> spans_of([False, True, True, False, True])
    [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(np.diff(np.array([False, *answers, False]).astype(np.int8)))
    return [(int(begin), int(stop)) for begin, stop in edges.reshape(-1, 2)]
