"""The examples of a tuning run: read and split, held against the yardstick, and made inputs of the model; what is doubtful in them is said and recorded."""

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from inkstone.errors import RunError
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe, TrainSection
from inkstone.run import Run
from inkstone.tasks.base import HasYardstick, HidesAnswers, MakesExamples, Task, Varies
from inkstone.tasks.framing import Frame
from inkstone.tasks.parts import Parts, read_parts
from inkstone.tasks.predict import places_of_cut
from inkstone.tasks.scoring import figures_of
from inkstone.text.augmentation import Neighbours
from inkstone.text.reading_report import first_of
from inkstone.text.sources import checksums
from inkstone.tokens.example_batches import Encoded
from inkstone.vectors.formats import read_vectors

VARYING = 1  # the stream of random numbers by which examples are altered
NEIGHBOURS = 5  # of a word, one of which may take its place


def read_examples(run: Run, task: Task, recipe: Recipe, line: LiveLine) -> Parts:
    """Read and split the examples. Raises RunError where a resumed run finds others than it began with."""
    line.show("reading the examples", force=True)
    parts = read_parts(task, recipe)
    task.learn(parts.train)
    parts.notice_unknown_labels(task)
    for understanding in parts.understood:
        for told in understanding.lines():
            line.say(told)
    digest = hashlib.sha256(repr([parts.train, parts.dev]).encode("utf-8", "surrogatepass")).hexdigest()
    before = run.facts().get("data", {}).get("checksum")
    if before not in (None, digest):
        raise RunError(
            f"{run.folder}: the examples are not those any more that this run began with; bring them back, or "
            "start a new run"
        )
    read = {each.part: {**each.to_dict(), "files": checksums(each.sources)} for each in parts.understood}
    run.record(data={"checksum": digest, **read})
    return parts


def measure_yardstick(run: Run, task: Task, parts: Parts, seed: int) -> dict[str, Any]:
    """Name and figures of the yardstick that the task must have, and the seconds that it took."""
    assert isinstance(task, HasYardstick)
    began, scored = time.perf_counter(), parts.scored()
    name, answers = task.yardstick(parts.train, list(scored.values()), seed)
    figures = {
        part: figures_of(task.measures(examples, told), seed)
        for (part, examples), told in zip(scored.items(), answers, strict=True)
    }
    yardstick = {"name": name, "figures": figures, "seconds": time.perf_counter() - began}
    run.record(yardstick=yardstick)
    return yardstick


def encode_examples(
    run: Run, task: Task, parts: Parts, frame: Frame, train: TrainSection, line: LiveLine
) -> list[Encoded]:
    """The training examples as inputs to learn from, with those that the task makes or alters beside them."""
    examples = parts.train
    if isinstance(task, MakesExamples):
        examples = examples + task.made(run.folder)
    if isinstance(task, Varies):
        generator = np.random.default_rng([train.seed, VARYING])
        examples = examples + task.varied(parts.train, generator, neighbours_in(train.vectors))
    encoded = task.encode(examples, frame)
    own = encoded[: len(parts.train)]
    notice_cut(run, parts, "train", places_of_cut(parts.train, own), frame.context, line)
    if isinstance(task, HidesAnswers):
        _notice_not_learned(run, parts, own, frame.context, line)
    return [each for of_one in encoded for each in of_one if each.taught]


def notice_cut(run: Run, parts: Parts, part: str, places: list[str], context: int, line: LiveLine) -> None:
    """Say and record which examples of a part are longer than the context."""
    understanding = parts.understanding_of(part)
    if notice := understanding.notice_cut(places, context):
        line.say(f"{part}  {notice}")
        _record_notices(run, understanding.part, understanding.notices)


def _notice_not_learned(
    run: Run, parts: Parts, encoded: Sequence[Sequence[Encoded]], context: int, line: LiveLine
) -> None:
    """Say and record how many examples of the training part there is nothing to learn of, since they do not fit."""
    left = [each.place for each, own in zip(parts.train, encoded, strict=True) if not any(e.taught for e in own)]
    if left:
        understanding = parts.understanding_of("train")
        many = f"{len(left):,} examples are" if len(left) > 1 else "1 example is"
        notice = (
            f"{many} longer than the context of {context:,} tokens and not learned from ({first_of(left, len(left))})"
        )
        understanding.notices.append(notice)
        line.say(f"train  {notice}")
        _record_notices(run, understanding.part, understanding.notices)


def _record_notices(run: Run, part: str, notices: list[str]) -> None:
    data = run.facts()["data"]
    data[part]["notices"] = notices
    run.record(data=data)


def neighbours_in(file: str | None) -> Neighbours | None:
    """The words near a word, by the word vectors in a file; None where there is none."""
    if file is None:
        return None
    vectors = read_vectors(file)
    return lambda word: [other for other, _ in vectors.neighbours(word, NEIGHBOURS)] if word in vectors else []
