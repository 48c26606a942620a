"""A conversation, turn by turn: with a chat template as messages, with a base model as one text that both go on writing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from inkstone.hub.download import local_folder
from inkstone.hub.folder import load
from inkstone.inference.drafts import Draft
from inkstone.inference.fast_decoder import for_generation
from inkstone.inference.generation import Piece, sampling_from, stream
from inkstone.inference.prefill import prompt_ids
from inkstone.inference.quantisation import in_precision
from inkstone.inference.sampling import Sampling
from inkstone.inference.speculative import DRAFT_TOKENS, Speculation, check_draft, speculation_of
from inkstone.models.base import LanguageModel
from inkstone.tokens.chat_template import ChatTemplate, Message


class Conversation:
    """What was said so far, and the model that answers.

    With `template`, `messages` are written down by it. A base model has none: it continues `text`, in which every turn
    of the person begins a new line. With a `speculation` a draft guesses ahead.
    """

    def __init__(
        self,
        model: LanguageModel,
        sampling: Sampling,
        template: ChatTemplate | None = None,
        system: str | None = None,
        speculation: Speculation | None = None,
    ):
        prompt_ids(model, "")  # a model that does not go on with a text is refused before anything is said
        self.model = for_generation(model, rows=1)
        self.sampling, self.speculation = sampling, speculation
        self.template = template
        self.system = system
        self.reset()

    def reset(self) -> None:
        """Forget all that was said."""
        self.messages: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        self.text = f"{self.system}\n" if self.system else ""

    def reseed(self, seed: int) -> None:
        """Draw the answers to come from another seed."""
        self.sampling = replace(self.sampling, seed=seed)

    def say(self, words: str) -> Iterator[Piece]:
        """The answer to `words`, streamed; what was streamed when the caller stops early is what was said."""
        if self.template is None:
            self.text += words
            pieces = stream(self.model, self.text, self.sampling, speculation=self.speculation)
        else:
            messages = [*self.messages, {"role": "user", "content": words}]
            ids = self.template.ids(messages, add_generation_prompt=True)
            self.messages = messages  # what the template refuses was not said
            pieces = stream(self.model, ids, self.sampling, ends=self.template.ends, speculation=self.speculation)
        answer: list[str] = []
        try:
            for piece in pieces:
                answer.append(piece.text)
                yield piece
        finally:
            if self.template is None:
                self.text += "".join(answer) + "\n"
            else:
                self.messages.append({"role": "assistant", "content": "".join(answer)})

    def answer(self, words: str) -> str:
        """The whole answer to `words`."""
        return "".join(piece.text for piece in self.say(words))


def chat(
    run: LanguageModel | Path | str,
    *,
    system: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    draft: str | Path | LanguageModel | Draft | None = None,
    draft_tokens: int = DRAFT_TOKENS,
    **settings,
) -> Conversation:
    """Begin a conversation with a model, or with the one in a run folder; `settings` are those of `Sampling`, `precision` that
    of the weights (`inference/quantisation.py`), `draft` and `draft_tokens` as `generate` takes them.

    >>> conversation = inkstone.chat("runs/mine")  # doctest: +SKIP
    >>> conversation.answer("Good morning.")  # doctest: +SKIP
    """
    sampling = sampling_from(settings)
    if not isinstance(run, str | Path):
        model = in_precision(run, precision)
        guesses = speculation_of(draft, draft_tokens, model, None)
        return Conversation(model, sampling, system=system, speculation=guesses)
    folder = local_folder(run)
    if isinstance(draft, str | Path):
        check_draft(draft, draft_tokens, folder)
    model = in_precision(load(folder, device=device), precision)
    guesses = speculation_of(draft, draft_tokens, model, folder)
    return Conversation(model, sampling, ChatTemplate.of(folder, model.tokenizer), system, guesses)
