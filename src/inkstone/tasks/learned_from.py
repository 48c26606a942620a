"""Whether what a tuned model is scored on is what it learned from: such figures measure memory.

A run records the files of its training part with their checksums. A file with one of these checksums was learned from, whatever
it is called now. Where all of them still lie here as they were, and are no more than a few seconds' work, the training part is
put together again and its examples are looked for among those scored, word for word and nearly (`text/leaks.py`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inkstone.errors import InkstoneError, RunError, TextError
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.tasks.base import Task
from inkstone.tasks.parts import leak_notice, training_part, what_is_read
from inkstone.tasks.understanding import Understanding
from inkstone.text.datasets import PREFIX, is_here
from inkstone.text.leaks import find_leaks
from inkstone.text.reading_report import first_of
from inkstone.text.sources import checksums, total_bytes

MOST_BYTES = 32 << 20  # of training files, on the disk, that are read again
MOST_EXAMPLES = 50_000  # to be learned from, or scored, of which each is looked for among the others


def notice_learned(folder: Path, task: Task, examples: Sequence[Any], scored: Understanding) -> None:
    """Say in the notices of what is scored which of its files, and how many of its examples, the run in a folder learned from.

    `task` is the one of the run, `examples` are those of the files. Nothing is said of a folder that records no such files, as
    the checkpoints of others; where the files are not here any more, that single examples were not looked for.
    """
    try:
        run = Run(folder)
        data = run.facts().get("data", {}).get("train", {})
    except RunError:
        return
    files: dict[str, str] = data.get("files", {})
    if not files:
        return
    own = checksums(scored.sources)
    known = {_content(name, digest) for name, digest in files.items()}
    same = [name for name, digest in own.items() if _content(name, digest) in known or _is_named_set(name, files)]
    if same:
        many = f"{len(same):,} of the files scored were" if len(same) > 1 else "1 of the files scored was"
        scored.notices.append(f"{many} learned from ({first_of(same, len(same))}): the figures flatter")
    learned = _learned(run, task, files, max(len(examples), data["examples"]))
    if isinstance(learned, str):
        if len(same) < len(own):
            scored.notices.append(f"whether single examples were learned from was not looked at: {learned}")
        return
    leaks = find_leaks(
        {"train": [what_is_read(each) for each in learned], scored.part: [what_is_read(each) for each in examples]}
    )
    if notice := leak_notice(leaks, scored.part, examples):
        scored.notices.append(notice)


def _learned(run: Run, task: Task, files: Mapping[str, str], examples: int) -> list[Any] | str:
    """The examples of the training part, or why they are not to be had."""
    try:
        recipe: Recipe = run.recipe()
        sources = recipe.text.sources
        if not all(is_here(source) for source in sources if source.startswith(PREFIX)):
            return "the training files are not here"
        if examples > MOST_EXAMPLES or (total_bytes(sources) or 0) > MOST_BYTES:
            return "that would take long with so much text"
        if checksums(sources) != files:
            return "the training files are not those any more that it learned from"
        again = type(task).of(task.to_dict())  # reading may settle something in a task
        return training_part(again.read(sources, Understanding("data", sources)), recipe)
    except TextError as error:
        return str(error)
    except InkstoneError:
        return "its recipe cannot be read"


def _content(name: str, digest: str) -> tuple[str, str]:
    """What makes two files one: the checksum, and which list of it is meant where a data set has several in a file."""
    return digest, name.partition("#")[2] if name.startswith(PREFIX) else ""


def _is_named_set(name: str, files: Mapping[str, str]) -> bool:
    """Whether this is a file of a public data set that was learned from, which may be stored in another form here."""
    return name.startswith(PREFIX) and name in files
