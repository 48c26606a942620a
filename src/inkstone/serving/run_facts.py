"""What a run folder says of itself while it is trained and afterwards: a summary, and its journal from where one last read it."""

import json
import math
import time
from pathlib import Path
from typing import Any

from inkstone.errors import InkstoneError
from inkstone.run import Run

MOST_BYTES = 512 << 10  # of the journal in one answer
MOVING = 45.0  # seconds since its last line in which a journal is one of a training that goes on


def summary(folder: Path) -> dict[str, Any]:
    """Name, state, what it is, and its main figures. A damaged run is told as one, and raises nothing.

    state: "finished"; "training" where its journal was written to just now; "unfinished", to be gone on with; "model" without a
    recipe, as others leave them; "damaged".
    """
    told: dict[str, Any] = {"name": folder.name, "state": "model", "changed": _changed(folder)}
    run = Run(folder)
    if not run.recipe_path.is_file():
        return told
    try:
        recipe, facts = run.recipe(), _finite(run.facts())
    except InkstoneError as error:
        return {**told, "state": "damaged", "message": str(error)}
    outcome = facts.get("outcome")
    told |= {
        "state": "finished" if outcome else "training" if _moving(run) else "unfinished",
        "task": recipe.task.name,
        "family": recipe.model.family,
        "minutes": recipe.train.minutes,
        "base": None if recipe.task.model is None else Path(recipe.task.model).name,
        "choices": facts.get("plan", {}).get("choices", []),
        "predicted": facts.get("plan", {}).get("predicted"),
        "adapted": facts.get("adapted"),
        "report": (folder / "report.html").is_file(),
    }
    if outcome:
        told |= {name: outcome[name] for name in ("parameters", "tokens", "seconds", "steps") if name in outcome}
        told["figure"] = main_figure(outcome)
        told["sample"] = str(outcome.get("sample", ""))[:600]
    return told


def main_figure(outcome: dict[str, Any]) -> dict[str, Any] | None:
    """The figure by which a run is told from others: bits per byte, or the score of its task; None where that is no number."""
    if outcome.get("bits_per_byte") is not None:
        return {
            "name": "bits per byte",
            "value": outcome["bits_per_byte"],
            "low": outcome.get("low"),
            "high": outcome.get("high"),
        }
    for figures in reversed(list(outcome.get("figures", {}).values())):
        found = figures.get(outcome.get("score"))
        if found and found["value"] is not None:
            return {"name": outcome["score"], **found}
    return None


def journal(folder: Path, since: int = 0, of: str = "") -> dict[str, Any]:
    """The whole lines of the journal after the first `since` bytes, at most `MOST_BYTES` of them.

    `of` and `next` are to be sent back as `of` and `since` for what comes after. A run that is gone on with writes its journal anew;
    then `again` is true, the lines are those from its beginning, and what was read before counts no more.
    """
    path = Run(folder).metrics_path
    told: dict[str, Any] = {"entries": [], "next": 0, "of": "", "again": bool(of), "more": False}
    try:
        with open(path, "rb") as file:
            status = path.stat()
            told["of"] = f"{status.st_ino:x}"
            begin = since if of == told["of"] and 0 <= since <= status.st_size else 0
            told["again"] = begin == 0 and since > 0
            file.seek(begin)
            block = file.read(MOST_BYTES)
    except OSError:
        return told
    whole = block[: block.rfind(b"\n") + 1]
    told["next"] = begin + len(whole)
    told["more"] = bool(whole) and told["next"] < status.st_size
    for line in whole.splitlines():
        try:
            entry = json.loads(line, parse_constant=lambda name: None)
        except ValueError:  # torn by a crash
            continue
        if isinstance(entry, dict):
            told["entries"].append(entry)
    return told


def last_words(path: Path, most: int = 4000) -> str:
    """The end of a log, from the beginning of a line."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most))
            said = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return said if size <= most else said.partition("\n")[2]


def _finite(value: Any) -> Any:
    """Facts with None for what is no number, such as a score where there was nothing to be found: JSON for others has none."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _moving(run: Run) -> bool:
    return time.time() - _changed(run.metrics_path) < MOVING


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
