"""The verb `eval`: a model's figures on held-out text, with the yardsticks beside them."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from inkstone.errors import RunError, TextError
from inkstone.evaluation.likelihood import score
from inkstone.evaluation.yardsticks import HELD_OUT_LIMIT, TRAIN_LIMIT, yardsticks
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load
from inkstone.models.base import CarriesState, LanguageModel, WholeDocuments
from inkstone.progress import LiveLine, human_count
from inkstone.run import Run
from inkstone.text.document import kept
from inkstone.text.reading import read
from inkstone.text.repair import repair
from inkstone.text.sources import check_there
from inkstone.tokens.shards import TokenShards
from inkstone.tokens.tokenizer import Tokenizer

LONGEST_WINDOW = 2048  # tokens; a longer context costs more than it changes the figure


class Corpus(Protocol):
    """Documents as token ids: shards on the disk, or text in memory."""

    n_documents: int
    n_tokens: int

    def document(self, number: int) -> np.ndarray:
        """The ids of one document."""
        ...

    def documents(self) -> Iterator[np.ndarray]:
        """The ids of every document in turn."""
        ...


def evaluate(
    model: LanguageModel,
    held_out: Corpus,
    train: Corpus | None = None,
    *,
    window: int | None = None,
    stride: int | None = None,
    share: float = 1.0,
    most: int | None = None,
    compressors: bool = True,
    train_limit: int = TRAIN_LIMIT,
    seed: int = 0,
    report: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """The figures of a model on held-out text, and of the yardsticks that have seen the same training text.

    `share` scores an evenly spaced part, `most` bounds the tokens asked for (`score`); `train_limit` bounds, in bytes, what xz must read twice.
    """
    shown = report or (lambda tokens: None)
    window = window or window_of(model)
    started = time.monotonic()
    likelihood = score(model, held_out.documents(), window=window, stride=stride, share=share, most=most, report=shown)
    figures = likelihood.figures(seed=seed)
    figures |= {"window": window, "stride": stride or (window and max(1, window // 2)), "share": min(1.0, share)}
    if isinstance(model, WholeDocuments):
        figures["likelihood"] = model.likelihood
    figures["seconds"] = round(time.monotonic() - started, 3)
    if compressors:
        generator = np.random.default_rng(seed)
        figures["yardsticks"] = yardsticks(
            _sampled_texts(held_out, model.tokenizer, HELD_OUT_LIMIT, generator),
            _sampled_texts(train, model.tokenizer, train_limit, generator) if train else (),
            train_limit=train_limit,
        )
    return figures


def eval(
    run: Path | str,
    text: Sequence[str | Path] | None = None,
    *,
    text_column: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    share: float = 1.0,
    compressors: bool = True,
    device: str = "auto",
    seed: int = 0,
    quiet: bool = True,
) -> dict[str, Any]:
    """Score a run, or a checkpoint of others, on its own held-out text or on `text`.

    `text` names sources as `text/reading.py` takes them; they are repaired, but nothing is dropped. Figures on the run's
    own held-out text are recorded in the run. Raises RunError where a model without held-out text is given no `text`,
    and TextError where the sources hold none.
    """
    live = LiveLine(quiet=quiet)
    folder = local_folder(run)
    run_folder = Run(folder)
    text = list(text) if text else None
    if text is None and not run_folder.held_out_shards.is_dir():
        raise RunError(
            f"{folder} has no held-out text of its own (it was imported, or its shards are gone); "
            f"name a text to score it on: inkstone eval {run} TEXT"
        )
    check_there(text or ())
    model = load(folder, device=device)
    train = TokenShards(run_folder.train_shards) if run_folder.train_shards.is_dir() else None
    held_out = (
        TokenShards(run_folder.held_out_shards)
        if text is None
        else _Memory(texts_of(text, text_column), model.tokenizer)
    )
    figures = evaluate(
        model,
        held_out,
        train,
        window=window,
        stride=stride,
        share=share,
        compressors=compressors,
        seed=seed,
        report=_progress(live, round(held_out.n_tokens * min(1.0, share))),
    )
    live.clear()
    figures = {"run": str(run), "text": [str(source) for source in text] if text is not None else "held-out", **figures}
    if text is None and run_folder.recipe_path.exists():
        known = run_folder.facts().get("evaluation") or {}  # yardsticks that were left out now are still true
        run_folder.record(evaluation={**known, **figures})
    return figures


def window_of(model: LanguageModel) -> int | None:
    """The window a model is scored with: the context it was trained on, or None where it has no such limit."""
    context = None if isinstance(model, CarriesState) else getattr(getattr(model, "settings", None), "context", None)
    return min(context, LONGEST_WINDOW) if context else None


class _Memory:
    """Documents in memory, to be read like the shards of a run."""

    def __init__(self, texts: list[str], tokenizer: Tokenizer):
        self.ids = tokenizer.encode_batch(texts)
        self.n_documents = len(texts)
        self.n_tokens = sum(len(ids) + 1 for ids in self.ids)

    def document(self, number: int) -> np.ndarray:
        return self.ids[number]

    def documents(self) -> Iterator[np.ndarray]:
        return iter(self.ids)


def texts_of(sources: Sequence[str | Path], text_column: str | None = None) -> list[str]:
    """The documents of sources, repaired. Raises TextError where there are none."""
    texts: list[str] = []
    for frame in read(sources, text_column=text_column):
        repaired, _ = repair(frame)
        texts += [text for text in kept(repaired)["text"].to_list() if text]
    if not texts:
        raise TextError(f"there is no text in {', '.join(map(str, sources))}")
    return texts


def _sampled_texts(shards: Corpus, tokenizer: Tokenizer, limit: int, generator: np.random.Generator) -> Iterator[str]:
    """Documents in a random order, where all of them would be too many; each cut where it alone passes the limit."""
    order = np.arange(shards.n_documents)
    if shards.n_tokens * 2 > limit:  # a token is rarely less than two bytes, so that a small corpus stays in order
        generator.shuffle(order)
    for number in order:
        yield tokenizer.decode(shards.document(int(number))[: limit + 1])


def _progress(live: LiveLine, total: int) -> Callable[[int], None]:
    started, done = time.monotonic(), 0

    def show(tokens: int) -> None:
        nonlocal done
        done += tokens
        speed = done / max(1e-9, time.monotonic() - started)
        live.show(f"scoring {done / max(1, total):.0%} · {human_count(speed, 'tokens')}/s")

    return show
