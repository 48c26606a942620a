"""`inkstone compare`: every family of language model on the same text, tokenizer, held-out part and wall clock.

    inkstone compare TEXT --minutes 2

The text is cleaned, split and tokenised once, into OUT/text; each model is then a run folder of its own in OUT, trained
in a process of its own, one after another, and all are scored on the same sections of the held-out text. A comparison
that was interrupted goes on where it stopped.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from inkstone.environment import pick_device
from inkstone.errors import Interrupted, RecipeError, RunError
from inkstone.files import clear_unfinished, write_json
from inkstone.models import family
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe, load_recipe, with_settings
from inkstone.run import Run
from inkstone.studies.compare_page import compare_page
from inkstone.studies.compare_runs import compare_runs
from inkstone.studies.line_up import Entry, line_up
from inkstone.training.machine import measure_machine
from inkstone.training.placing import is_planned, name_of
from inkstone.training.preparing import prepare, prepared
from inkstone.training.pretraining import DEFAULT_SOURCE

DEFAULT_MINUTES = 2.0
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
SCORED_TOKENS = 30_000  # of the held-out text, by every model: the slowest to score reads each token many times


def compare(
    text: Sequence[str] = (),
    *,
    minutes: float = DEFAULT_MINUTES,
    families: Sequence[str] = (),
    held_out: Sequence[str] = (),
    out: str | Path | None = None,
    settings: Sequence[str] = (),
    on: Sequence[str] = (),
    quiet: bool = False,
) -> dict[str, Any]:
    """Train every family on the same text, each in `minutes` of wall clock, and lay their figures side by side; or with `on`
    compare two runs, which `text` then names, on that data (`compare_runs.py` says what is returned).

    text, held_out, settings: as `train` takes them; settings hold for every family that has them.
    families: only these, by default all. out: the folder, by default runs/compare-NAME; one that holds an unfinished
    comparison of the same text and settings is gone on with.

    Returns the table: for each entry bits per byte with its interval, parameters, seconds, tokens a second scored, peak
    memory, a sample. The same as compare.json, compare.html and one run folder for each model in `out`.
    Raises RecipeError, TextError, RunError; `Interrupted` on Ctrl-C, after which the same command goes on.
    """
    if on:
        if families or held_out or out is not None or settings:
            raise RecipeError(
                "--on compares two runs as they are; give no family, --held-out, --out or --set beside it"
            )
        return compare_runs(text, on)
    if text and all((Path(source) / "model.safetensors").exists() for source in text):
        raise RecipeError(
            "runs are compared on data: inkstone compare RUN1 RUN2 --on DATA; without --on, models are trained on the text named"
        )
    entries = line_up(families)
    recipe = with_settings(Recipe(), [f"train.minutes={minutes}"], "--minutes")
    recipe = with_settings(recipe, [setting for setting in settings if not setting.startswith("model.")])
    recipe.text.sources = [str(source) for source in text] or [DEFAULT_SOURCE]
    recipe.text.held_out_sources = [str(source) for source in held_out]
    for setting in settings:
        if setting.startswith("model.") and not any(_is_of(setting, entry) for entry in entries):
            raise RecipeError(f"--set {setting}: none of the families compared has such a setting")
    folder = Path(out) if out is not None else _folder(recipe)
    line = LiveLine(quiet=quiet)
    shared = _text(folder / "text", recipe, line)
    facts = shared.facts()
    rows = []
    for entry in entries:
        run = _run_of(entry, folder, shared, recipe, settings)
        if "outcome" not in run.facts():
            line.say(f"{entry.name}  ({entry.source})")
            _child(["train", "--resume", str(run.folder)], folder, quiet)
        rows.append(_row(entry, run, facts, quiet, line))
        line.say(f"{entry.name}  {rows[-1]['bits_per_byte']:.3f} bits per byte")
    rows.sort(key=lambda row: row["bits_per_byte"])
    table = {
        "folder": str(folder),
        "sources": recipe.text.sources,
        "minutes": minutes,
        "vocabulary": facts["tokenizer"]["vocab_size"],
        "train_bytes": facts["text"]["train_bytes"],
        "held_out_bytes": facts["text"]["held_out_bytes"],
        "yardsticks": rows[0]["yardsticks"],
        "rows": [{key: value for key, value in row.items() if key != "yardsticks"} for row in rows],
    }
    write_json(folder / "compare.json", table)
    compare_page(folder, table)
    return table


def _folder(recipe: Recipe) -> Path:
    """runs/compare-NAME: the one that stands there is gone on with, if it is of the same text and minutes."""
    return Path("runs") / f"compare-{name_of(recipe)}"


def _text(folder: Path, recipe: Recipe, line: LiveLine) -> Run:
    """The text as every model will read it. Raises RunError where the folder holds another comparison."""
    if (folder / "recipe.toml").exists():
        run = Run.open(folder)
        if load_recipe(run.recipe_path) != recipe:
            raise RunError(
                f"{folder.parent} holds a comparison of other text or settings; choose another --out, or delete it"
            )
        with run.claimed():
            clear_unfinished(folder)
            if prepared(run, line) is None:
                _prepare(run, recipe, line)
        return run
    run = Run.create(folder, recipe)
    with run.claimed():
        _prepare(run, recipe, line)
    return run


def _prepare(run: Run, recipe: Recipe, line: LiveLine) -> None:
    try:
        machine = measure_machine(pick_device(recipe.train.device), recipe.train.threads)
        seconds = None if recipe.train.steps is not None else (recipe.train.minutes or DEFAULT_MINUTES) * 60
        prepare(run, recipe, machine, seconds, line)
    except Exception:
        shutil.rmtree(run.folder)
        if not any(run.folder.parent.iterdir()):
            run.folder.parent.rmdir()
        raise


def _run_of(entry: Entry, folder: Path, shared: Run, recipe: Recipe, settings: Sequence[str]) -> Run:
    """The run of one entry, with the prepared text linked into it.

    Raises RunError where one stands there whose model was given other settings.
    """
    path = folder / entry.name.replace(" ", "-").lower()
    given = [*entry.settings, *(each for each in settings if _is_of(each, entry))]
    if (path / "recipe.toml").exists():
        run = Run.open(path)
        if is_planned(run) or "tokenizer" in run.facts():
            if (before := run.facts().get("given")) != given:
                raise RunError(
                    f"{path} was given {before or 'no settings'}, not {given or 'none'}; choose another --out, or delete it"
                )
            return run
        shutil.rmtree(path)
    chosen = with_settings(recipe, [f"model.family={entry.family}", *given])
    run = Run.create(path, chosen)
    for name in TOKENIZER_FILES:
        if (shared.folder / name).exists():
            _link(shared.folder / name, path / name)
    for file in sorted((shared.folder / "shards").rglob("*")):
        if file.is_file():
            _link(file, path / "shards" / file.relative_to(shared.folder / "shards"))
    facts = shared.facts()
    run.record(given=given, **{stage: facts[stage] for stage in ("text", "tokenizer", "preparation")})
    return run


def _is_of(setting: str, entry: Entry) -> bool:
    """Whether a setting of the person is one that this family has; those of the other sections hold for all."""
    section, _, rest = setting.partition(".")
    known = {field.name for field in fields(family(entry.family).Settings)}
    return section == "model" and rest.partition("=")[0] in known


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a disk without links
        shutil.copyfile(source, target)


def _child(words: list[str], folder: Path, quiet: bool) -> dict[str, Any]:
    """Run a verb in a process of its own, so that each model has a fresh memory; its outcome."""
    command = [sys.executable, "-m", "inkstone", *words, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None, text=True)
    try:
        said, complaint = process.communicate()
    except KeyboardInterrupt:
        process.wait()
        raise Interrupted(f"stopped; the same command goes on with {folder}") from None
    if process.returncode == 130:
        raise Interrupted(f"stopped; the same command goes on with {folder}")
    outcome = json.loads(said) if said.strip() else {"error": (complaint or "").strip() or "it ended without a word"}
    if process.returncode or "error" in outcome:
        raise RunError(f"inkstone {' '.join(words)}: {outcome.get('error', process.returncode)}")
    return outcome


def _row(entry: Entry, run: Run, shared: dict[str, Any], quiet: bool, line: LiveLine) -> dict[str, Any]:
    """The figures of one model, scored on the same sections as all the others."""
    known = run.facts().get("comparison")
    if known is None:
        line.show(f"scoring {entry.name}", force=True)
        share = min(1.0, SCORED_TOKENS / shared["tokenizer"]["held_out_tokens"])
        known = _child(["eval", str(run.folder), "--share", str(share), "--no-yardsticks"], run.folder.parent, quiet)
        run.record(comparison=known)
        line.clear()
    facts = run.facts()
    outcome, training, cost = facts["outcome"], facts["training"], facts["cost"]
    return {
        "name": entry.name,
        "family": entry.family,
        "source": entry.source,
        "year": entry.year,
        "likelihood": known.get("likelihood", "exact"),
        "bits_per_byte": known["bits_per_byte"],
        "low": known["low"],
        "high": known["high"],
        "parameters": training["parameters"],
        "train_seconds": training["seconds"],
        "tokens": training["tokens"],
        "tokens_scored_per_second": known["tokens"] / max(known["seconds"], 1e-9),
        "peak_memory_bytes": cost["peak_memory_bytes"],
        "sample": outcome["sample"],
        "folder": str(run.folder),
        "yardsticks": outcome["yardsticks"],
    }
