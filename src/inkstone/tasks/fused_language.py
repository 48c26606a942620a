"""The language model that listens in: kept in the run's folder, opened from there, its weights chosen on dev."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from inkstone.errors import RecipeError
from inkstone.files import whole_file
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load
from inkstone.inference.ctc_search import Heard
from inkstone.inference.language_fusion import LanguageFusion
from inkstone.models.base import LanguageModel
from inkstone.text.spoken import words_of

KEPT = ("*.safetensors", "*.safetensors.index.json", "tokenizer.json", "tokenizer_config.json", "config.json")
ALPHAS = np.arange(0, 2.01, 0.1)
BETAS = np.arange(-2, 4.01, 0.5)
FIRST = (0.5, 0.5)  # the weights with which texts are found by which the weights are chosen
ROUNDS = 2
JUDGED = 300  # transcripts by which it is told how the model is to be asked

# What is found with some α and β: of each recording the texts, each with its errors.
Texts = Callable[[float, float], list[list[tuple[Heard, int]]]]


def keep_language_model(source: str, folder: Path) -> None:
    """Copy a model into a folder, config.json, which makes it one, as the last; what is kept there stays.

    Raises RunError for what is no model, RecipeError for one that cannot say what comes next.
    """
    if (folder / "config.json").exists():
        return
    given = local_folder(source)
    _language_model(given)
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in KEPT:
        for file in sorted(given.glob(pattern)):
            with whole_file(folder / file.name) as part:
                shutil.copyfile(file, part)


def open_language_model(folder: Path) -> LanguageModel:
    """The model that was kept. Raises RunError and CheckpointError where it cannot be opened."""
    return _language_model(folder)


def learned_lines(model: LanguageModel, texts: Sequence[str]) -> bool:
    """Whether texts are likelier as lines of a text than as documents: how a model takes them depends on what it learned from."""
    total = {True: 0.0, False: 0.0}
    for lines in total:
        fusion = LanguageFusion(model, lines=lines)
        for text in texts[:JUDGED]:
            total[lines] += fusion.log_chance(words_of(text), ended=True)
            fusion.forget()  # the states of so many texts would fill the memory
    return total[True] > total[False]


def choose_weights(texts: Texts, alpha: float | None = None, beta: float | None = None) -> tuple[float, float]:
    """α and β, where they are not given, with the fewest errors among the texts that are found; of several the smallest.

    Texts are found with the weights that were chosen by those found before, and all count.
    """
    if alpha is not None and beta is not None:
        return alpha, beta
    alphas, betas = (
        options if given is None else np.array([given]) for given, options in ((alpha, ALPHAS), (beta, BETAS))
    )
    found: list[dict[tuple[int, ...], tuple[Heard, int]]] = []
    chosen = (FIRST[0] if alpha is None else alpha, FIRST[1] if beta is None else beta)
    for _ in range(ROUNDS):
        for number, each in enumerate(texts(*chosen)):
            if number == len(found):
                found.append({})
            found[number] |= {heard.ids: (heard, errors) for heard, errors in each}
        grid = [(_errors(found, float(a), float(b)), float(a), abs(float(b)), float(b)) for a in alphas for b in betas]
        _, a, _, b = min(grid)
        chosen = (round(a, 6), round(b, 6))
    return chosen


def _errors(found: Sequence[dict[tuple[int, ...], tuple[Heard, int]]], alpha: float, beta: float) -> int:
    """Of the texts that score best with these weights; of texts that score the same, the one with the most."""
    return sum(
        max((one.log_chance + alpha * one.language + beta * one.words, errors) for one, errors in each.values())[1]
        for each in found
    )


def _language_model(folder: Path) -> LanguageModel:
    model = load(folder)
    if not isinstance(model, LanguageModel):
        raise RecipeError(
            f"{folder} is no language model; name a run of `inkstone train`, or a checkpoint of a decoder"
        )
    return model
