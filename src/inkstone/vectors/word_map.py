"""A map of the most frequent words on a plane, as SVG: near words tend to have near vectors."""

from html import escape
from typing import Literal

import numpy as np

from inkstone.errors import MissingExtraError
from inkstone.vectors.word_vectors import WordVectors

SIZE = 1000  # of the picture, in its own units
MARGIN = 40
LETTER = 11  # height of the letters
STYLE = (
    "text{font:11px sans-serif;fill:#1c2b36}circle{fill:#5b7c99}rect{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e4e9ec}circle{fill:#7fa3c2}rect{fill:#14191d}}"
)

Method = Literal["pca", "tsne"]


def on_a_plane(vectors: np.ndarray, method: Method = "pca", seed: int = 0) -> np.ndarray:
    """(n, 2) coordinates of (n, width) vectors.

    pca: the two directions in which the vectors differ most (Pearson 1901); a map of all distances, coarse.
    tsne: neighbours stay neighbours, far distances mean nothing (van der Maaten & Hinton 2008); needs scikit-learn.

    Raises MissingExtraError for tsne where scikit-learn is not installed.
    """
    centred = vectors - vectors.mean(axis=0)
    if method == "pca" or len(vectors) < 4:
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        plane = np.zeros((len(vectors), 2))
        two = directions[:2]
        largest = two[np.arange(len(two)), np.abs(two).argmax(axis=1)]
        two = two * np.where(largest < 0, -1, 1)[:, None]  # one sign of two, so that the map is always the same
        plane[:, : len(two)] = centred @ two.T
        return plane
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise MissingExtraError("scikit-learn", "vectors", "a map by t-SNE") from None
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", metric="cosine", random_state=seed).fit_transform(centred)


def word_map(vectors: WordVectors, count: int = 400, method: Method = "pca", seed: int = 0) -> str:
    """An SVG picture of the `count` most frequent words. Where names would cover each other, the rarer is left a dot."""
    count = min(count, len(vectors))
    plane = on_a_plane(vectors.unit[:count], method, seed)
    spread = np.ptp(plane, axis=0)
    places = MARGIN + (plane - plane.min(axis=0)) / np.where(spread == 0, 1, spread) * (SIZE - 2 * MARGIN)
    taken: list[tuple[float, float, float]] = []
    marks: list[str] = []
    for word, (x, y) in zip(vectors.words, places.tolist(), strict=False):
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.6"><title>{escape(word)}</title></circle>')
        left, right = x + 3, x + 3 + _width(word)
        if all(right < first or left > last or abs(y - other) > LETTER for first, last, other in taken):
            taken.append((left, right, y))
            marks.append(f'<text x="{left:.1f}" y="{y + 4:.1f}">{escape(word)}</text>')
    body = "\n".join(marks)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE + 60} {SIZE}" role="img">\n'
        f"<title>{count} words on a plane ({method.upper() if method == 'pca' else 't-SNE'})</title>\n"
        f'<style>{STYLE}</style>\n<rect width="{SIZE + 60}" height="{SIZE}"/>\n{body}\n</svg>\n'
    )


def _width(word: str) -> float:
    """About how wide a word is drawn: a Chinese character is as wide as high."""
    return sum(LETTER if ord(letter) > 0x2E7F else LETTER * 0.56 for letter in word)
