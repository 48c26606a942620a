"""Public tests of language models by likelihood: of a few texts, does the model find the right one the likeliest?

    inkstone eval RUN --suite blimp --suite arc_easy

Nothing stands before a question (zero-shot), and questions are put in the words of EleutherAI's lm_eval, as far as the
files have them: theirs of HellaSwag lacks what kind of scene it is, that of COPA has a comma before the connective.
What the figures are says `suite_scores`.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstone.errors import TextError, nearest
from inkstone.evaluation.evaluate import window_of
from inkstone.evaluation.suite_items import Item, Record, read_items
from inkstone.evaluation.suite_scores import score_items
from inkstone.hub.folder import load
from inkstone.models.base import LanguageModel
from inkstone.progress import LiveLine


@dataclass(frozen=True)
class Suite:
    """A public test: what it asks, where its items are, and how a record of theirs becomes an item."""

    title: str
    source: str
    prepare: Callable[[Record], Record] = lambda record: record


def _blimp(record: Record) -> Record:
    return {**record, "field": record["field"].replace("/", "_")}  # one paradigm spells its field otherwise


def _question(record: Record) -> Record:
    return {**record, "query": record["query"].rstrip("\n") + "\nAnswer:"}


def _hellaswag(record: Record) -> Record:
    letters = sorted(record["choices"])
    return {
        "query": _without_brackets(record["question"]),
        "choices": [_without_brackets(record["choices"][letter]) for letter in letters],
        "gold": letters.index(record["answer"]),
    }


def _without_brackets(text: str) -> str:
    """The marks of WikiHow taken out, as lm_eval does: "[title]" begins a sentence, other marks are nothing."""
    return re.sub(r"\[.*?\]", "", text.replace(" [title]", ". ")).replace("  ", " ").strip()


SUITES: dict[str, Suite] = {
    "blimp": Suite("grammar: minimal pairs in 67 paradigms", "data:eval-blimp/blimp-first100.jsonl", _blimp),
    "lambada": Suite("the last word of a passage", "data:eval-lambada/lambada_test.jsonl"),
    "hellaswag": Suite("how a scene goes on", "data:eval-hellaswag-1k/hellaswag-abstainqa-test.jsonl", _hellaswag),
    "arc_easy": Suite("science questions of schools", "data:eval-mc-en/arc_easy.jsonl", _question),
    "arc_challenge": Suite("those that word counts do not answer", "data:eval-mc-en/arc_challenge.jsonl", _question),
    "openbookqa": Suite("science and common sense together", "data:eval-mc-en/openbook_qa.jsonl"),
    "piqa": Suite("how things are done", "data:eval-mc-en/piqa.jsonl", _question),
    "winogrande": Suite("whom a pronoun means, at scale", "data:eval-mc-en/winogrande.jsonl"),
    "copa": Suite("cause and effect", "data:eval-mc-en/copa.jsonl"),
    "winograd": Suite("whom a pronoun means: the 273 schemas", "data:eval-mc-en/winograd_wsc.jsonl"),
}


def eval_suites(
    run: LanguageModel | Path | str,
    suites: Sequence[str | Path],
    *,
    window: int | None = None,
    share: float = 1.0,
    device: str = "auto",
    seed: int = 0,
    quiet: bool = True,
) -> dict[str, Any]:
    """Score a model, or the one in a run or checkpoint folder, on suites by their names in `SUITES` or on files of items.

    `share` takes an evenly spaced part of each suite's items, for a quick look.

    >>> inkstone.eval_suites("runs/mine", ["blimp"])["suites"]["blimp"]["acc"]  # doctest: +SKIP

    Raises TextError for a name that is neither, for data that are not here, and for a line that is no item.
    """
    started = time.monotonic()
    items = {str(name): items_of(str(name), share) for name in suites}  # mistakes first, before a model is read
    model = load(run, device=device) if isinstance(run, str | Path) else run
    window = window or window_of(model)
    live = LiveLine(quiet=quiet)
    figures = {}
    for name, chosen in items.items():
        figures[name] = score_items(model, chosen, window=window, seed=seed, report=_progress(live, name, chosen))
    live.clear()
    return {
        "run": str(run) if isinstance(run, str | Path) else None,
        "window": window,
        "share": share,
        "suites": figures,
        "seconds": round(time.monotonic() - started, 3),
    }


def items_of(name: str, share: float = 1.0) -> list[Item]:
    """The items of a suite, or of a file of one's own; with a `share`, as many evenly spaced ones, at least one.

    Raises TextError where there is no such suite or file.
    """
    if name in SUITES:
        items = read_items(SUITES[name].source, SUITES[name].prepare)
    elif name.startswith("data:") or Path(name).is_file():
        items = read_items(name)
    else:
        raise TextError(f"there is no suite {name!r} and no such file; {nearest(name, SUITES)}")
    count = max(1, round(len(items) * min(1.0, share)))
    return [items[int((i + 0.5) * len(items) / count)] for i in range(count)]


def _progress(live: LiveLine, name: str, items: Sequence[Item]) -> Callable[[int], None]:
    done, total = 0, sum(len(item.options) for item in items)

    def show(options: int) -> None:
        nonlocal done
        done += options
        live.show(f"{name} {min(1.0, done / total):.0%}")

    return show
