"""The contract of a task: what an example is, how it becomes numbers, what the loss is, and what counts as right.

One loop trains every task (`training/tuning_run.py`), one predictor serves it (`predict.py`), one evaluator scores it
(`scoring.py`). A task is an object that holds its settings and what it learned of the training part, such as the labels; all of
that is in `to_dict`, which the run keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.evaluation.figure_words import SHARE
from inkstone.evaluation.intervals import Figure
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tasks.framing import Frame
from inkstone.tasks.understanding import Understanding
from inkstone.text.augmentation import Neighbours
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.example_batches import Encoded, ExampleBatch
from inkstone.tokens.tokenizer import Tokenizer

Answer = dict[str, Any]  # what JSON can hold; each task says its keys


class Example(Protocol):
    """One example. A task has its own dataclass."""

    place: str  # "file:line"

    @property
    def text(self) -> str:
        """What is read, for its language and length, and to find it again in another part."""
        ...


@dataclass(frozen=True)
class Measure:
    """A figure over examples: what each adds to some sums, and the figure as a function of the sums."""

    statistics: np.ndarray  # (examples, ...)
    figure: Figure  # of sums with the resamples along the first axis
    unit: str = SHARE  # "nats a token"; "plain" of a number without one
    lower_is_better: bool = False

    @property
    def value(self) -> float:
        """The figure of all examples."""
        return float(self.figure(self.statistics.astype(np.float64).sum(0, keepdims=True))[0])


class Task(Protocol):
    """What a model is tuned to do."""

    name: ClassVar[str]
    body: ClassVar[str]  # the family of the body where none is given
    body_settings: ClassVar[Mapping[str, Any]]  # of a body from the start, where the recipe leaves them open

    @property
    def score(self) -> str:
        """The measure by which weights are chosen."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that were learned; empty where the task has none."""
        ...

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Any]:
        """The examples of files, with their answers; what is doubtful goes into `understanding`.

        Raises TextError where the files hold no such examples.
        """
        ...

    def asked(self, inputs: Sequence[Any]) -> list[Any]:
        """Examples without answers, of inputs as a person gives them: texts, or records with the columns of the task."""
        ...

    def learn(self, examples: Sequence[Any]) -> None:
        """Take from the training part what must be known before the first step, such as the labels."""
        ...

    def head(self) -> HeadSettings:
        """The head that answers."""
        ...

    def texts(self, examples: Sequence[Any]) -> list[str]:
        """All text of the examples, to learn a tokenizer from."""
        ...

    def encode(self, examples: Sequence[Any], frame: Frame) -> list[list[Encoded]]:
        """Each example as one or several inputs of the model (several: pieces of a text that is too long for one)."""
        ...

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of what is to be told."""
        ...

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[Any]:
        """What the model says to each row."""
        ...

    def answer(self, example: Any, outputs: Sequence[Any]) -> Answer:
        """What the outputs of an example's inputs come to."""
        ...

    def measures(self, examples: Sequence[Any], answers: Sequence[Answer]) -> dict[str, Measure]:
        """The figures of answers to examples whose right answers are known; `score` is among them."""
        ...

    def mistakes(self, examples: Sequence[Any], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """For each example what the error page shows: text, gold, predicted, right, confidence."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Settings and what was learned, as JSON holds them."""
        ...

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Task":
        """From settings of a recipe, or from what `to_dict` gave."""
        ...


@runtime_checkable
class SettlesOnDev(Protocol):
    """A task with something to choose once the weights are: a temperature, a threshold. It is then part of `to_dict`."""

    def settle(self, examples: Sequence[Any], outputs: Sequence[Sequence[Any]]) -> None:
        """Choose it by the dev examples and what the model says to the inputs of each."""
        ...


@runtime_checkable
class GaugedByLoss(Protocol):
    """A task whose answers take long to make: while it is learned, the loss on dev says which weights are best."""

    def nats(self, model: Headed, batch: ExampleBatch) -> tuple[float, int]:
        """The nats of what is to be told, summed, and the number of tokens that it is told in."""
        ...


@runtime_checkable
class NeedsRoom(Protocol):
    """A task whose examples may take more of the context than their texts have tokens."""

    def tokens_needed(self, tokenizer: Tokenizer, examples: Sequence[Any]) -> list[int]:
        """Tokens that the context must have for each, special ones of the tokenizer apart."""
        ...


@runtime_checkable
class ReadsByTemplate(Protocol):
    """A task for language models, which reads conversations by the chat template that is stored with the model."""

    def converse(self, tokenizer: Tokenizer, folder: Path | None) -> tuple[Tokenizer, list[int]]:
        """Take the template of the model in a folder, or ChatML where there is none; the tokenizer with its tokens.

        The ids are those that have learned nothing yet.
        """
        ...

    @staticmethod
    def reads(record: Mapping[str, Any]) -> bool:
        """Whether a record of a file is an example of the task, and not text like any other."""
        ...

    def template_of(self) -> ChatTemplate:
        """The template that was taken."""
        ...

    def lengths(self, examples: Sequence[Any]) -> list[int]:
        """Tokens of each example as a whole."""
        ...

    def learns_whole(self) -> bool:
        """Whether the embedding learns beside changes of low rank, since there are tokens that have learned nothing yet."""
        ...


@runtime_checkable
class KeepsReference(Protocol):
    """A task in which the model is compared with itself as it began."""

    def with_reference(self, model: Headed, inputs: Sequence[Encoded]) -> list[Encoded]:
        """The inputs with what the model says of them before its first step, where that is not at hand later."""
        ...

    def kept_in(self, folder: Path) -> dict[str, Any]:
        """As `to_dict`, for the folder of a run, which may be moved together with the model that it began as."""
        ...


@runtime_checkable
class DoesSoFromTheStart(Protocol):
    """A task that any model of language can do, if badly: its figures before the first step are the yardstick."""

    def as_it_began(self) -> str:
        """What the model is called then."""
        ...


@runtime_checkable
class WritesSamples(Protocol):
    """A task with texts to show in the report."""

    def samples(self, model: Headed, examples: Sequence[Any]) -> list[dict[str, Any]]:
        """{"prompt", "text"} of a few examples, and whatever else belongs to them."""
        ...


@runtime_checkable
class ReadsInputs(Protocol):
    """A task that is also asked by files of a form of its own, such as CoNLL-U."""

    def inputs_of(self, file: str | Path) -> list[Any] | None:
        """The inputs in a file; None for one that holds lines of text or records, as for every task."""
        ...


@runtime_checkable
class HasPredictor(Protocol):
    """A task whose model is asked in a way of its own, see `tasks/predict.py`."""

    def predictor(self, model: Headed) -> Any:
        """A `Predictor` of this task that asks the model."""
        ...


@runtime_checkable
class AsksFurther(Protocol):
    """A task that must know one thing of an example before it can ask for another: its predicates, the summaries of its pieces."""

    def further(self, example: Any, outputs: Sequence[Any]) -> Any:
        """What is to be asked next, given what the model said; the example itself where nothing is."""
        ...


@runtime_checkable
class Varies(Protocol):
    """A task whose training examples can be altered without changing what is right."""

    def varied(
        self, examples: Sequence[Any], generator: np.random.Generator, neighbours: Neighbours | None
    ) -> list[Any]:
        """New examples from old ones, as many as the task's settings ask for; `neighbours` gives words near a word."""
        ...


@runtime_checkable
class MakesExamples(Protocol):
    """A task that makes training examples beside those of the files, which takes long: once for a run."""

    def made(self, folder: Path) -> list[Any]:
        """Those that lie in the run's folder, or new ones, which are kept there."""
        ...


@runtime_checkable
class JoinsWindows(Protocol):
    """A task that can read a text that is too long in windows (`Frame.split`), and join what the model says to them."""

    def joined(self, windows: Sequence[Encoded], outputs: Sequence[Any]) -> list[Any]:
        """The outputs of one example as if it had fit."""
        ...


@runtime_checkable
class AsksBeside(Protocol):
    """A task that may have a second model in the run's folder, which is asked beside the tuned one."""

    def learn_beside(self, examples: Sequence[Any], folder: Path) -> None:
        """Learn it from the training part and keep it in the folder, if the settings want one; what is kept stays."""
        ...

    def open_beside(self, folder: Path) -> None:
        """Open it, if the settings want one, so that `beside` asks it. Raises RunError and CheckpointError where that fails."""
        ...

    def beside(self, examples: Sequence[Any], outputs: list[list[Any]]) -> list[list[Any]]:
        """The outputs of each example, and what the second model says to it added to them."""
        ...


@runtime_checkable
class JudgesBeside(Protocol):
    """A task whose model is asked what it holds of the things that the second model says."""

    def offered(self, examples: Sequence[Any], outputs: Sequence[Sequence[Any]], frame: Frame) -> list[list[Encoded]]:
        """The inputs by which that is asked, for each example; `outputs` are those of `beside`."""
        ...

    def judge(self, model: Headed, batch: ExampleBatch) -> list[Any]:
        """What the model holds of each row."""
        ...

    def judged(self, outputs: Sequence[Sequence[Any]], judgements: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """The outputs of each example together with the judgements of what was offered."""
        ...


@runtime_checkable
class HasYardstick(Protocol):
    """A task for which a simple model is trained beside the tuned one, in seconds."""

    def yardstick(
        self, train: Sequence[Any], parts: Sequence[Sequence[Any]], seed: int
    ) -> tuple[str, list[list[Answer]]]:
        """Its name, and its answers to the examples of each part."""
        ...


@runtime_checkable
class HasDetails(Protocol):
    """A task with more to show of a part than its figures: labels one by one, the confusion of labels."""

    def details(self, examples: Sequence[Any], answers: Sequence[Answer]) -> dict[str, Any]:
        """What the report draws, as JSON holds it."""
        ...


@runtime_checkable
class NeedsTokens(Protocol):
    """A task whose model must know tokens that no text is made of, such as the one that says into which language to translate."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """Their names, known as soon as the training part is."""
        ...


@runtime_checkable
class SuitsBody(Protocol):
    """A task that bodies of different kinds do in different ways, by heads of their own."""

    def suit(self, family: str) -> None:
        """Take note of the family of the body, before anything else is asked of the task."""
        ...


@runtime_checkable
class HearsLanguages(Protocol):
    """A task that hears recordings in several languages, and may write them in another."""

    def listen(self, language: str | None, to: str | None, words: bool = False) -> None:
        """Which language is spoken (none: told from the sound), which one to write (none: the same), and whether words have times."""
        ...


@runtime_checkable
class HidesAnswers(Protocol):
    """A task whose examples are read otherwise where the right answer is known: the model must not be asked about those."""

    def unanswered(self, examples: Sequence[Any]) -> list[Any]:
        """The same examples as they are asked about."""
        ...
