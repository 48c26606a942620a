"""`inkstone predict`: what a model that was tuned for a task says to texts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from inkstone.errors import RunError, TextError
from inkstone.hub.bert_tasks import is_task
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load, read_config
from inkstone.hub.headed_layout import TASK, is_headed, task_beside
from inkstone.hub.whisper import is_whisper
from inkstone.models.headed import Headed, ReadsUnits
from inkstone.tasks import task_class
from inkstone.tasks.base import (
    Answer,
    AsksBeside,
    AsksFurther,
    GaugedByLoss,
    HearsLanguages,
    HidesAnswers,
    JoinsWindows,
    JudgesBeside,
    ReadsByTemplate,
    ReadsInputs,
    Task,
)
from inkstone.tasks.framing import Frame
from inkstone.text.formats import binary
from inkstone.text.reading import read
from inkstone.text.reading_report import ReadingReport
from inkstone.text.records import members, read_records
from inkstone.text.sources import check_there
from inkstone.tokens.example_batches import Encoded, ExampleBatch, collate, in_order

PASS_TOKENS = 8192  # of one pass, padding counted


class OptionError(RunError):
    """Something said of all inputs that means nothing to the task of a run; `option` is what it is called."""

    def __init__(self, option: str, message: str):
        super().__init__(message)
        self.option = option


class Predictor:
    """A tuned model with its task, to be asked again and again."""

    cut_rows: Sequence[int] = ()  # as `cut`, by their numbers: several may have the same place

    def __init__(self, model: Headed, task: Task, context: int):
        self.model, self.task = model, task
        self.frame = Frame.of(model.tokenizer, context, reads_focus=isinstance(model.body, ReadsUnits))
        self.cut: list[str] = []  # places of the examples last asked about that are longer than the context

    @classmethod
    def load(cls, run: Path | str, device: str = "auto") -> "Predictor":
        """The model of a run that was tuned for a task, or of a checkpoint that others tuned for one: BERT, RoBERTa, Whisper.

        Raises RunError for any other folder.
        """
        folder = local_folder(run)
        config, written = read_config(folder), task_beside(folder)
        if is_task(config):
            from inkstone.tasks.foreign import task_of_checkpoint

            model = load(folder, device=device)
            assert isinstance(model, Headed)
            return cls(model, *task_of_checkpoint(model, config, folder))
        if is_whisper(config):
            return cls._of_whisper(folder, config, written, device)
        if not is_headed(config) and written is None:
            raise RunError(f"{folder} was not tuned for a task; do so by: inkstone tune TASK DATA --from {run}")
        try:
            described = dict(config["task"] if written is None else written)
            context = described.pop("context")
            task: Task = task_class(described.pop("name")).of(described)
        except (KeyError, TypeError, AttributeError) as error:
            place = folder / ("config.json" if written is None else TASK)
            raise RunError(f"{place}: its task cannot be read ({error})") from None
        model = load(folder, device=device)
        if isinstance(task, ReadsByTemplate):
            task.converse(model.tokenizer, folder)
            model = Headed(model, task.head())
        assert isinstance(model, Headed)
        if isinstance(task, AsksBeside):
            task.open_beside(folder)
        return cls(model, task, context)

    @staticmethod
    def _of_whisper(
        folder: Path, config: Mapping[str, Any], written: dict[str, Any] | None, device: str
    ) -> "Predictor":
        """A Whisper as it is, or one that was tuned."""
        from inkstone.models.whisper import Whisper
        from inkstone.tasks.foreign_speech import WhisperPredictor
        from inkstone.tasks.tuned_whisper import TunedPredictor, TunedWhisper

        listener = load(folder, device=device)
        assert isinstance(listener, Whisper)
        if written is None:
            return WhisperPredictor(listener, config, folder)
        task = TunedWhisper.of({name: value for name, value in written.items() if name not in ("name", "context")})
        return TunedPredictor(Headed(listener, task.head()), task.begin(folder, learns=False))

    def read_long(self, long: str) -> None:
        """What happens to texts longer than the context: "cut" leaves out their ends, "split" reads them in windows.

        Raises RunError for another word, and for a task that cannot join what is said to windows.
        """
        if long not in ("cut", "split"):
            raise RunError(f"long = {long!r}, but must be 'cut' or 'split'")
        if long == "split" and not isinstance(self.task, JoinsWindows):
            raise RunError(
                f"the task {self.task.name} has no windows to split long texts into; they are for runs that classify or embed"
            )
        self.frame = replace(self.frame, split=long == "split")

    def examples(
        self,
        inputs: Sequence[Any],
        *,
        about: str | None = None,
        to: str | None = None,
        language: str | None = None,
        words: bool = False,
    ) -> list[Any]:
        """Inputs as the task has them, with what holds for all: `about` is the text of a context, the others are as in `predict`.

        Raises OptionError for what means nothing to the task, TextError for inputs that it cannot take.
        """
        task, given = self.task, list(inputs)
        tuned = f"the run was tuned for the task {task.name}"
        if about is not None:
            if task.name != "answer":
                raise OptionError("context", f"{tuned}; a context is for runs that answer questions")
            given = [[question, about] for question in given]
        if isinstance(task, HearsLanguages):
            task.listen(language, to, words)
        elif words and task.name != "transcribe":
            raise OptionError("words", f"{tuned}; times of words are of recordings")
        elif language is not None:
            raise OptionError("language", f"{tuned} and knows nothing of spoken languages; leave the language out")
        elif to is not None:
            if task.name != "translate":
                raise OptionError("to", f"{tuned}; a language to write is for runs that translate")
            given = [{**(each if isinstance(each, dict) else {"text": each}), "to": to} for each in given]
        return task.asked(given)

    def told(self, examples: Sequence[Any]) -> list[Answer]:
        """The answers, and beside them `cut`, true where the end of an example was left out."""
        answers, cut = self.answers(examples), set(self.cut_rows)
        return [answer | ({"cut": True} if number in cut else {}) for number, answer in enumerate(answers)]

    def answers(self, examples: Sequence[Any]) -> list[Answer]:
        """What the model says to each example, in their order."""
        outputs = self.outputs(examples)
        if isinstance(self.task, AsksFurther):
            further = [self.task.further(each, own) for each, own in zip(examples, outputs, strict=True)]
            asked = [number for number, old in enumerate(examples) if further[number] is not old]
            if asked:
                cut, rows = self.cut, set(self.cut_rows)
                for number, own in zip(asked, self.outputs([further[number] for number in asked]), strict=True):
                    outputs[number] = own
                self.cut = [place for place in cut if place not in self.cut] + self.cut
                self.cut_rows = sorted(rows | {asked[number] for number in self.cut_rows})
                examples = further
        return self.answers_of(examples, outputs)

    def answers_of(self, examples: Sequence[Any], outputs: Sequence[Sequence[Any]]) -> list[Answer]:
        """The answers that outputs come to."""
        return [self.task.answer(example, of_one) for example, of_one in zip(examples, outputs, strict=True)]

    def taught(self, examples: Sequence[Any]) -> list[Encoded]:
        """The inputs of examples that say what is right."""
        return [encoded for of_one in self.task.encode(examples, self.frame) for encoded in of_one if encoded.taught]

    @torch.inference_mode()
    def nats_a_token(self, inputs: Sequence[Encoded]) -> float:
        """The mean loss of a token of the right answers, for a task that is gauged by it; `inputs` as `taught` gives them."""
        assert isinstance(self.task, GaugedByLoss)
        self.model.eval()
        device = next(self.model.parameters()).device
        found = [
            self.task.nats(self.model, to_device(collate([inputs[row] for row in rows]), device))
            for rows in in_order(inputs, PASS_TOKENS)
        ]
        return sum(nats for nats, _ in found) / max(1, sum(tokens for _, tokens in found))

    @torch.inference_mode()
    def outputs(self, examples: Sequence[Any]) -> list[list[Any]]:
        """For each example what the model says to each of its inputs."""
        self.cut, self.cut_rows = [], []
        if not examples:
            return []
        asked = self.task.unanswered(examples) if isinstance(self.task, HidesAnswers) else examples
        parts = self.task.encode(asked, self.frame)
        self.cut = places_of_cut(examples, parts)
        self.cut_rows = [number for number, of_one in enumerate(parts) if any(part.cut for part in of_one)]
        given = self._told(parts, self.task.outputs)
        if self.frame.split and isinstance(self.task, JoinsWindows):
            given = [
                of_one if len(of_one) == 1 else self.task.joined(windows, of_one)
                for windows, of_one in zip(parts, given, strict=True)
            ]
        if isinstance(self.task, AsksBeside):
            given = self.task.beside(examples, given)
        if isinstance(self.task, JudgesBeside):
            offered = self.task.offered(examples, given, self.frame)
            given = self.task.judged(given, self._told(offered, self.task.judge))
        return given

    def _told(
        self, parts: Sequence[Sequence[Encoded]], ask: Callable[[Headed, ExampleBatch], list[Any]]
    ) -> list[list[Any]]:
        """What the model, asked so, says to each input of each example."""
        self.model.eval()
        device = next(self.model.parameters()).device
        inputs = [encoded for of_one in parts for encoded in of_one]
        outputs: list[Any] = [None] * len(inputs)
        for rows in in_order(inputs, PASS_TOKENS):
            batch = to_device(collate([inputs[row] for row in rows]), device)
            for row, output in zip(rows, ask(self.model, batch), strict=True):
                outputs[row] = output
        found = iter(outputs)
        return [[next(found) for _ in of_one] for of_one in parts]


def predict(
    run: Path | str,
    inputs: Sequence[Any] = (),
    *,
    files: Sequence[str | Path] = (),
    context: str | Path | None = None,
    to: str | None = None,
    language: str | None = None,
    words: bool = False,
    long: str = "cut",
    device: str = "auto",
) -> list[Answer]:
    """What a tuned model says to each input: a text, or what else the task takes (pairs, records, lists of words).

    files: plain text, a line an input; csv, tsv or JSON lines, a record an input, by the columns of the training data.
    context: of a run that answers questions, a file with the text that all inputs, questions then, are about.
    to: of a run that translates into several languages, the one to translate into; of a Whisper, "en" for English.
    language: of a Whisper, the language that is spoken; none: it tells by itself. words: of a Whisper, whether words have times, as those
    of a run that transcribes always have.
    Each answer holds the keys of the task (`label` and `probabilities` of a classifier), and `input`; `cut` is true of
    an input whose end was left out, since it is longer than the model's context. With `long` = "split" a run that classifies
    or embeds reads such a text in windows that overlap, and joins what it says to them; tags, answers and summaries of texts of any
    length do so by themselves, and a run that can do neither is refused.
    Raises RunError for a folder that was not tuned, OptionError for what means nothing to its task, TextError for files and inputs
    that cannot be read.
    """
    check_there([*files, *([] if context is None else [context])])
    predictor = Predictor.load(run, device)
    predictor.read_long(long)
    inputs = [*inputs, *(given for file in files for given in inputs_of(file, predictor.task))]
    about = None
    if context is not None:
        about = "\n\n".join(text for frame in read([context]) for text in frame["text"].to_list())
    examples = predictor.examples(inputs, about=about, to=to, language=language, words=words)
    return [{"input": given, **answer} for given, answer in zip(inputs, predictor.told(examples), strict=True)]


def inputs_of(file: str | Path, task: Task) -> list[Any]:
    """The inputs in a file: lines of plain text, records, or what else the task reads. Raises TextError for what is no text."""
    own = task.inputs_of(file) if isinstance(task, ReadsInputs) else None
    if own is not None:
        return own
    name = str(file).lower()
    for packing in (".gz", ".xz", ".bz2", ".zst"):
        name = name.removesuffix(packing)
    if name.endswith((".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson")):
        return [record.values for record in read_records([file])]
    lines: list[str] = []
    for member, _ in members([file], ReadingReport()):
        if reason := binary(member.head()):
            raise TextError(f"{member.label}: {reason}")
        lines += b"".join(member.utf8()).decode().split("\n")
    return [line.rstrip("\r") for line in lines if line.strip()]


def places_of_cut(examples: Sequence[Any], encoded: Sequence[Sequence[Encoded]]) -> list[str]:
    """Where the examples stand of which something is left out, since they are longer than the context."""
    return [each.place for each, of_one in zip(examples, encoded, strict=True) if any(part.cut for part in of_one)]


def to_device(batch: ExampleBatch, device: torch.device) -> ExampleBatch:
    """The batch where the model is."""
    if device.type == "cpu":
        return batch
    moved: dict[str, Any] = {name: None if value is None else value.to(device) for name, value in vars(batch).items()}
    return ExampleBatch(**moved)
