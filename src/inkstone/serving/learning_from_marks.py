"""`inkstone adapt`: a model that answers learns from the marks that people gave its answers.

Where the marks make enough pairs, low-rank changes learn them by DPO (`tasks/prefer.py`); where there are none, but enough good answers, the
changes learn those as conversations (`tasks/chat.py`). The marks are dealt into three parts that share no question: to learn from, to choose
the weights by, and a part kept aside, on which the model is scored as it was and as it is. The result is a new run; the model itself stays.

A good or a bad answer whose question has no other mark makes no pair. With `regenerate` the model answers that question once more, and the new
answer takes the empty place: below the good one (Chen et al. 2024, "Self-Play Fine-Tuning"), above the bad one. That nobody has looked at the new answer makes
such a pair weaker evidence than a mark, so that this is asked for and never done by itself.
"""

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inkstone.errors import RecipeError, RunError, TextError
from inkstone.files import whole_folder, write_json, write_text
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load, read_config
from inkstone.hub.headed_layout import is_headed
from inkstone.inference.conversation import Conversation
from inkstone.inference.sampling import Sampling
from inkstone.models.base import LanguageModel
from inkstone.progress import LiveLine
from inkstone.run import Run
from inkstone.serving.feedback import FILE, FeedbackStore
from inkstone.serving.marks import Learnable, Mark, Pair, is_database, learnable
from inkstone.tasks.predict import Predictor
from inkstone.tasks.prefer import Weighed
from inkstone.tasks.understanding import Understanding
from inkstone.text.folds import grouped_split
from inkstone.text.preferences import read_preferences
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.stored_templates import stored_template
from inkstone.training.opening import recipe_of
from inkstone.training.tuning import tune
from inkstone.training.tuning_run import DEFAULT_MINUTES

LEAST = 20  # pairs, or good answers, and
LEAST_QUESTIONS = 6  # different questions among them, from which there is something to learn and to measure
SHARES = {"learn": 0.7, "choose": 0.1, "kept-aside": 0.2}
RANK = 8  # of the low-rank changes
TRIES = 4  # seeds in which the model may give an answer that differs from the marked one
REGENERATED = Sampling(max_tokens=400)
NOTE = "marks.json"
PARTS = ".parts"  # what the folder beside the run is called that holds what it learned from


@dataclass(frozen=True)
class Lesson:
    """What is learned and how: records for the files of a task, with the question of each."""

    task: str  # "prefer" or "chat"
    records: Sequence[Mapping[str, Any]]
    questions: list[str]
    told: dict[str, int]  # how many marks led to it, and how many to nothing


def adapt(
    run: str | Path = "",
    *,
    marks: str | Path | None = None,
    regenerate: bool = False,
    out: str | Path | None = None,
    minutes: float | None = None,
    settings: Sequence[str] = (),
    resume: str | Path | None = None,
    fresh: bool = False,
    quiet: bool = False,
    began: float | None = None,
) -> dict[str, Any]:
    """Tune low-rank changes of a model that answers on what people marked, and say what became better.

    marks: a feedback.sqlite of the studio, or a file of pairs as `inkstone tune prefer` takes it; by default the one beside the run.
    regenerate: whether marks without a counterpart get one from the model. out: the new run; by default RUN-adapted.
    resume: a run of this kind to go on with; nothing else may then be given. minutes, settings, fresh, began: as `tune` takes them.

    Returns the outcome of `tune`, and beside it `marks` (how many there were of what) and `kept_aside`: figures before and after.
    Raises RunError for a model that does not answer, TextError where there are too few marks, and what `tune` raises.
    """
    began = time.perf_counter() if began is None else began
    line = LiveLine(quiet=quiet)
    if resume is not None:
        if run or marks or out or minutes or settings or fresh or regenerate:
            raise RecipeError("--resume goes on with a run as it is; give no RUN and no settings beside it")
        return resumed(Path(resume), quiet, began)
    if not run:
        raise RecipeError("a model that answers is missing: inkstone adapt RUN")
    base = local_folder(run)
    if is_headed(read_config(base)):
        raise RunError(f"{run} does not answer: it was tuned for another task than chat")
    if stored_template(base) is None:
        raise RunError(
            f"{run} has no chat template, so it goes on writing and does not answer; first: inkstone tune chat DATA --from {run}"
        )
    recipe_of(None, settings, [("--minutes", "train.minutes", minutes)], DEFAULT_MINUTES)
    file = Path(marks) if marks is not None else base.resolve().parent / FILE
    found = learnable_in(file)
    if regenerate:
        model = load(base)
        template = ChatTemplate.of(base, model.tokenizer)
        assert template is not None
        found = regenerated(found, model, template, line)
    lesson = lesson_of(found, file)
    line.say("marks  " + ", ".join(f"{count:,} {name}" for name, count in lesson.told.items() if count))
    folder = Path(out) if out is not None else free_folder(base)
    with parts_beside(folder, lesson, str(run)) as files:
        outcome = tune(
            lesson.task,
            [files["learn"]],
            model=run,
            dev=[files["choose"]],
            test=[files["kept-aside"]],
            minutes=minutes,
            out=folder,
            settings=[f"task.lora_rank={RANK}", *settings],
            fresh=fresh,
            quiet=quiet,
            began=began,
        )
    return concluded(folder, outcome)


def resumed(folder: Path, quiet: bool, began: float) -> dict[str, Any]:
    """Go on with a run that learns from marks. Raises RunError for another one."""
    if not (parts_of(folder) / NOTE).is_file():
        raise RunError(f"{folder} is no run of `inkstone adapt`; go on with it by `{Run.open(folder).resuming()}`")
    return concluded(folder, tune(resume=folder, quiet=quiet, began=began))


def concluded(folder: Path, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome of the training with the figures on the marks kept aside, which the run records."""
    note = json.loads((parts_of(folder) / NOTE).read_text(encoding="utf-8"))
    figures = before_and_after(folder, str(parts_of(folder) / "kept-aside.jsonl"), outcome)
    Run(folder).record(adapted={**note, "kept_aside": figures})
    return {**outcome, "marks": note["marks"], "kept_aside": figures}


def parts_of(folder: Path) -> Path:
    """The folder beside a run that holds what it learned from."""
    return folder.with_name(f"{folder.name}{PARTS}")


def learnable_in(file: Path) -> Learnable:
    """What a store of marks or a file of pairs holds. Raises TextError, FeedbackError."""
    if not file.exists():
        raise TextError(
            f"{file}: no marks are there; give answers a thumb in the studio (inkstone serve), or name a file: --from"
        )
    if is_database(file):
        return learnable(FeedbackStore(file).all())
    understanding = Understanding("train", [str(file)])
    pairs = [Pair(tuple(each.messages), each.chosen, each.rejected) for each in read_preferences([file], understanding)]
    if not pairs:
        raise TextError(
            f"{file}: neither a store of marks nor a file of pairs; {'; '.join(understanding.faults()) or 'it is empty'}"
        )
    return Learnable(pairs)


def regenerated(found: Learnable, model: LanguageModel, template: ChatTemplate, line: LiveLine) -> Learnable:
    """With a pair of each mark that had none: the model's new answer below a good one, above a bad one."""
    pairs = list(found.pairs)
    marks = [*found.ups, *found.downs]
    for number, mark in enumerate(marks, 1):
        line.show(f"answering {number} of {len(marks)} questions again", force=number == len(marks))
        new = another_answer(mark, model, template)
        if new is not None:
            pairs.append(Pair(mark.messages, *((mark.answer, new) if mark.kind == "up" else (new, mark.answer))))
    return Learnable(pairs, opposed=found.opposed)


def another_answer(mark: Mark, model: LanguageModel, template: ChatTemplate) -> str | None:
    """What else the model says to the question of a mark; None where it has nothing else to say in a few tries."""
    for seed in range(TRIES):
        conversation = Conversation(model, REGENERATED, template)
        conversation.reseed(seed)
        conversation.messages = [dict(message) for message in mark.messages[:-1]]
        said = conversation.answer(mark.messages[-1]["content"]).strip()
        if said and said != mark.answer.strip():
            return said
    return None


def lesson_of(found: Learnable, file: Path) -> Lesson:
    """Pairs where there are enough, else good answers. Raises TextError with how many are needed."""
    told = {"pairs": len(found.pairs), "good answers alone": len(found.ups), "bad answers alone": len(found.downs)}
    told["pairs that contradict others"] = found.opposed
    asked = [_question(pair.messages) for pair in found.pairs]
    if len(found.pairs) >= LEAST and len(set(asked)) >= LEAST_QUESTIONS:
        return Lesson("prefer", [pair.record() for pair in found.pairs], asked, told)
    asked = [mark.question for mark in found.ups]
    if len(found.ups) >= LEAST and len(set(asked)) >= LEAST_QUESTIONS:
        said = [{"role": "assistant", "content": mark.answer} for mark in found.ups]
        records = [
            {"messages": [*map(dict, mark.messages), answer]} for mark, answer in zip(found.ups, said, strict=True)
        ]
        return Lesson("chat", records, asked, told)
    alone = len(found.ups) + len(found.downs)
    raise TextError(
        f"{file}: too few marks to learn from: {len(found.pairs):,} pairs to {len({_question(p.messages) for p in found.pairs}):,} "
        f"questions, {len(found.ups):,} good answers without a pair; needed are {LEAST} of either, to {LEAST_QUESTIONS} questions at least. "
        "A pair is a comparison, or a thumb up and a thumb down on answers to one question"
        + (f"; {alone:,} marks have no counterpart, and --regenerate makes pairs of them" if alone else "")
    )


def _question(messages: Sequence[Mapping[str, str]]) -> str:
    return Mark("up", tuple(messages), "").question


@contextmanager
def parts_beside(folder: Path, lesson: Lesson, base: str) -> Iterator[dict[str, str]]:
    """The files that a run is to learn from, beside its folder. Where an error ends the block and no run has begun there, what lay there is back."""
    parts, recipe = parts_of(folder), Run(folder).recipe_path
    aside, before = parts.with_name(f".{parts.name}.before"), _identity(recipe)
    if parts.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(parts, aside)
    try:
        yield write_parts(lesson, parts, base)
    except BaseException:
        if _identity(recipe) in (None, before):
            shutil.rmtree(parts, ignore_errors=True)
            if aside.exists():
                os.replace(aside, parts)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _identity(file: Path) -> tuple[int, int] | None:
    """By which a file is told from a later one of its name; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def write_parts(lesson: Lesson, folder: Path, base: str, seed: int = 0) -> dict[str, str]:
    """The records in three files, no question in two of them, and a note of what they are from; the file of each part."""
    rows = grouped_split([0] * len(lesson.records), SHARES, groups=lesson.questions, seed=seed)
    with whole_folder(folder) as part:
        for name, chosen in rows.items():
            lines = (json.dumps(lesson.records[row], ensure_ascii=False) + "\n" for row in chosen)
            write_text(part / f"{name}.jsonl", "".join(lines))
        write_json(part / NOTE, {"from": base, "marks": lesson.told, "task": lesson.task})
    return {name: str(folder / f"{name}.jsonl") for name in rows}


def free_folder(base: Path) -> Path:
    """RUN-adapted beside the run, numbered where that is taken."""
    base = base.resolve()
    names = (f"{base.name}-adapted{'' if number == 1 else f'-{number}'}" for number in range(1, 10_000))
    return next(path for path in (base.with_name(name) for name in names) if not path.exists())


def before_and_after(folder: Path, kept_aside: str, outcome: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Figures on the marks kept aside, of the model as it was and as it is."""
    if outcome["task"] == "chat":
        now, was = outcome["figures"]["test"], (outcome["yardstick"] or {"figures": {"test": {}}})["figures"]["test"]
        return {
            name: {"before": was[name]["value"], "after": now[name]["value"]}
            for name in ("answer loss", "perplexity")
            if name in was
        }
    predictor = Predictor.load(folder)
    pairs = list(read_preferences([kept_aside], Understanding("test", [kept_aside])))
    return figures_of_pairs([found[0] for found in predictor.outputs(pairs)], predictor.task.beta)  # type: ignore[attr-defined]


def figures_of_pairs(weighed: Iterable[Weighed], beta: float) -> dict[str, dict[str, float]]:
    """Before and after, from what both models say of the answers of each pair.

    reward accuracy and margin: `tasks/prefer.py`; before the first step all pairs are ties. likelier: the share of pairs whose preferred
    answer has the higher log-probability a token. answer loss: nats a token of the preferred answers.
    """
    told = list(weighed)
    model, reference, tokens = (
        np.array([getattr(each, name) for each in told], dtype=np.float64) for name in ("model", "reference", "tokens")
    )
    gain = beta * (model - reference)
    margins = gain[:, 0] - gain[:, 1]
    return {
        "reward accuracy": {"before": 0.5, "after": _won(margins)},
        "margin": {"before": 0.0, "after": float(margins.mean())},
        "likelier": {
            "before": _won(reference[:, 0] / tokens[:, 0] - reference[:, 1] / tokens[:, 1]),
            "after": _won(model[:, 0] / tokens[:, 0] - model[:, 1] / tokens[:, 1]),
        },
        "answer loss": {
            "before": float(-reference[:, 0].sum() / tokens[:, 0].sum()),
            "after": float(-model[:, 0].sum() / tokens[:, 0].sum()),
        },
    }


def _won(differences: np.ndarray) -> float:
    """The share above 0, a tie counted half."""
    return float((1 + np.sign(differences)).mean() / 2)
