"""What every task shares that tunes a decoder to converse: the chat template of its model, and the answers in a packed batch.

The template is one object (`tokens/chat_template.py`): taken from the model that is tuned, or ChatML where it has none, stored with
the model, and read from there by all who ask it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.errors import RunError, TextError
from inkstone.inference.continuing import continue_texts
from inkstone.layers.cross_entropy import token_nats
from inkstone.models.decoder import Decoder
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tasks.dialogue_inputs import asked_input
from inkstone.tasks.task_settings import from_settings
from inkstone.text.conversations import Dialogue, asked_dialogue
from inkstone.tokens.chat_template import ChatTemplate, ChatTemplateError, Message
from inkstone.tokens.control_tokens import TURN_TOKENS, with_turn_tokens
from inkstone.tokens.example_batches import Encoded, ExampleBatch
from inkstone.tokens.tokenizer import Tokenizer

LONGER = 1.2  # than nearly all answers of the training part: as long an answer may be written
NEARLY_ALL = 0.99
LEAST_WRITTEN = 16  # tokens
SAMPLES = 4
SAMPLE_TOKENS = 120
SAMPLE_CHARACTERS = 500  # of a question or an answer that is known


@dataclass
class ConversingSettings:
    """The settings of a task that tunes a decoder to converse; the template is no setting, but part of the model."""

    longest: int = 0  # tokens of an answer that may be written; 0: not learned yet

    name: ClassVar[str]
    score: ClassVar[str]
    body: ClassVar[str] = "decoder"
    body_settings: ClassVar[Mapping[str, Any]] = {}
    labels: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """No template yet."""
        self._template: ChatTemplate | None = None
        self._unlearned: list[int] = []

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """From settings, or what `to_dict` gave. Raises RecipeError for a setting that there is not."""
        return from_settings(cls, settings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def head(self) -> HeadSettings:
        """The body's own output."""
        return HeadSettings("next", dropout=0.0)

    def asked(self, inputs: Sequence[Any]) -> list[Dialogue]:
        """Questions, lists of messages, or records as in a file; the last answer of a record is not shown to the model."""
        return [asked_dialogue(given, f"input {number}") for number, given in enumerate(inputs, 1)]

    def asked_input(self, dialogue: Dialogue, context: int) -> Encoded:
        """What the answer to a last question follows, with room for it in the context."""
        room = context - min(self.longest or context // 4, context // 2)
        try:
            return asked_input(self.template_of(), dialogue.messages, room)
        except ChatTemplateError as error:
            raise TextError(f"{dialogue.place}: {error}") from None

    def learn_length(self, answers: Sequence[int]) -> None:
        """How long an answer may be, by the tokens of those in the training part: a little more than nearly all. The first call counts."""
        if not self.longest:
            wanted = round(LONGER * float(np.quantile(answers, NEARLY_ALL))) if len(answers) else 0
            self.longest = max(LEAST_WRITTEN, wanted)

    def sample_answers(self, model: Headed, asked: Sequence[tuple[Sequence[Message], str]]) -> list[dict[str, Any]]:
        """The likeliest answers to a few of these conversations, each with the answer that is known."""
        chosen = asked[:: max(1, len(asked) // SAMPLES)][:SAMPLES]
        context, ends = model.settings.context, self.template_of().ends
        prompts = [asked_input(self.template_of(), messages, context // 2).ids.tolist() for messages, _ in chosen]
        limit = min(self.longest or SAMPLE_TOKENS, SAMPLE_TOKENS, context // 2)
        texts = written_greedily(model.body, prompts, [limit] * len(prompts), ends)
        return [
            {
                "prompt": shortened(messages[-1]["content"]),
                "text": text.strip(),
                "known": shortened(known),
                "temperature": 0.0,
            }
            for (messages, known), text in zip(chosen, texts, strict=True)
        ]

    def converse(self, tokenizer: Tokenizer, folder: Path | None) -> tuple[Tokenizer, list[int]]:
        """Take the template of the model in a folder, or ChatML where there is none; the tokenizer with its tokens.

        The ids are those that have learned nothing yet: new ones, and those that our own tokenizers have for turns, which no text
        holds.
        """
        template = None if folder is None else ChatTemplate.of(folder, tokenizer)
        self._unlearned = []
        if template is None:
            tokenizer, new = with_turn_tokens(tokenizer)
            turns = [tokenizer.backend.token_to_id(token) for token in TURN_TOKENS]
            own = [number for number in turns if number is not None and tokenizer.kind != "foreign"]
            self._unlearned = sorted({*new, *own})
            template = ChatTemplate.chatml(tokenizer)
        self._template = template
        return tokenizer, self._unlearned

    def template_of(self) -> ChatTemplate:
        """The template that was taken."""
        if self._template is None:
            raise RunError(f"the task {self.name} has no chat template yet: it belongs to a model that is not open")
        return self._template

    def learns_whole(self) -> bool:
        """Whether there are tokens whose rows have learned nothing yet."""
        return bool(self._unlearned)


def shortened(text: str) -> str:
    """The beginning of a text that is to be shown among others."""
    return text if len(text) <= SAMPLE_CHARACTERS else text[:SAMPLE_CHARACTERS].rstrip() + " …"


def nats_of_texts(
    model: Headed, batch: ExampleBatch
) -> tuple[Float[Tensor, " s"], Int[Tensor, " s"], Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Of each text in a packed batch the nats of its answers, summed, and their number of tokens; then those of each token, and its text."""
    assert batch.document is not None
    states, wanted, text = model.states_before(batch)
    each = token_nats(states, model.body.output_weight, wanted)
    texts = int(batch.document.max()) + 1
    sums = torch.zeros(texts, dtype=each.dtype, device=each.device).index_add(0, text, each)
    return sums, torch.bincount(text, minlength=texts), each, text


def ids_of_texts(batch: ExampleBatch) -> list[tuple[list[int], list[bool]]]:
    """Of each text in a packed batch its ids, and which of them are answers."""
    assert batch.document is not None and batch.answers is not None
    found: dict[int, tuple[list[int], list[bool]]] = {}
    rows = zip(batch.document.tolist(), batch.ids.tolist(), batch.answers.tolist(), strict=True)
    for numbers, ids, answers in rows:
        for number, token, is_answer in zip(numbers, ids, answers, strict=True):
            if number >= 0:
                own = found.setdefault(number, ([], []))
                own[0].append(token)
                own[1].append(is_answer)
    return [found[number] for number in sorted(found)]


def written_greedily(
    model: Decoder, prompts: Sequence[Sequence[int]], limits: Sequence[int], ends: Collection[int]
) -> list[str]:
    """The likeliest continuation of each prompt, token by token, up to an end or so many tokens."""
    if not prompts:
        return []
    found = continue_texts(model, prompts, max_tokens=[max(1, limit) for limit in limits], ends=ends)
    texts = [list(each[0].ids[: -1 if each[0].ended else None]) for each in found]
    return [model.tokenizer.decode(ids) for ids in texts]
