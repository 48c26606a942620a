"""What a run wrote down, read for the report and the model card: tolerant of what is missing, torn or odd."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inkstone.errors import InkstoneError
from inkstone.recipe import Recipe
from inkstone.run import Run

STAGES = (
    "text", "data", "tokenizer", "machine", "plan", "training", "evaluation", "cost", "outcome", "origin", "adaptation",
    "fusion",
)  # fmt: skip
LONGEST_STRING = 20_000  # characters; nothing in a report needs more


@dataclass
class Record:
    """Everything about a run that the report shows. A stage that was not reached is an empty table."""

    folder: Path
    stages: dict[str, dict[str, Any]]
    samples: list[dict[str, Any]]
    train: list[dict[str, Any]]  # points of the journal that have a finite loss, in order
    held_out: list[dict[str, Any]]
    events: list[str]
    recipe: Recipe | None
    recipe_text: str
    environment: dict[str, Any]
    damaged: list[str] = field(default_factory=list)  # files that should be there and could not be read

    @property
    def finished(self) -> bool:
        """Whether the run came to its end; an imported checkpoint has no end of its own to come to."""
        return bool(self.stages["outcome"] or self.stages["origin"])


def read_record(run: Run) -> Record:
    """The record of a run folder; never raises for what is in it."""
    damaged: list[str] = []
    facts = _facts(run, damaged)
    journal = [printable(entry) for entry in run.metrics()]
    try:
        recipe_text = run.recipe_path.read_text(encoding="utf-8", errors="replace")
        recipe = run.recipe()
    except (InkstoneError, OSError):
        recipe_text, recipe = "", None
        damaged.append(run.recipe_path.name)
    samples = facts.get("samples")
    return Record(
        folder=run.folder,
        stages={name: facts[name] if isinstance(facts.get(name), dict) else {} for name in STAGES},
        samples=[s for s in samples if isinstance(s, dict)] if isinstance(samples, list) else [],
        train=[entry for entry in journal if entry.get("kind") == "train" and _is_point(entry)],
        held_out=[entry for entry in journal if entry.get("kind") == "held-out" and _is_point(entry)],
        events=[str(entry["message"]) for entry in journal if entry.get("kind") == "event" and "message" in entry],
        recipe=recipe,
        recipe_text=printable(recipe_text),
        environment=_environment(run.folder / "environment.json", damaged),
        damaged=damaged,
    )


def printable(value: Any) -> Any:
    """The value with every text in it made fit for a file: no control characters, no lone surrogates, no endless strings.

    >>> printable({"a": ["tab\\tand\\x00zero", 1]})
    {'a': ['tab\\tand�zero', 1]}
    """
    if isinstance(value, str):
        kept = value[:LONGEST_STRING].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return "".join(c if c in "\t\n" or _is_shown(ord(c)) else "�" for c in kept)
    if isinstance(value, dict):
        return {printable(str(key)): printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable(item) for item in value]
    return value


def number(value: Any) -> float | None:
    """The value where it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _is_shown(code: int) -> bool:
    # The directional marks could turn the text around them, on a page as in a source file.
    return code >= 0x20 and not 0x7F <= code <= 0x9F and code not in range(0x202A, 0x202F) and code & 0xFFFE != 0xFFFE


def _is_point(entry: dict[str, Any]) -> bool:
    return number(entry.get("bits_per_byte")) is not None


def _facts(run: Run, damaged: list[str]) -> dict[str, Any]:
    try:
        facts = run.facts()
    except (InkstoneError, OSError):
        facts = None
    if not isinstance(facts, dict):
        damaged.append("facts.json")
        return {}
    return printable(facts)


def _environment(path: Path, damaged: list[str]) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        found = None
    if not isinstance(found, dict):
        damaged.append(path.name)
        return {}
    return printable(found)
