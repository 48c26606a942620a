"""BLEU and chrF: how much a translation shares with a reference, over a whole corpus.

    BLEU = min(1, exp(1 − r / c)) · (p₁ p₂ p₃ p₄)^¼       p_n: the share of its n-grams that the reference has, clipped
    chrF = (1 + β²) P R / (β² P + R),  β = 2              P, R: precision and recall of character n-grams, n = 1 … 6, averaged

c and r are the lengths of translations and references (Papineni et al. 2002; Popović 2015, 2017). Both are functions of counts
that are summed over the sentences, so that intervals need no translation again. Tokens and counts are those of the package
sacrebleu, and so are the figures, a hundredth of what it prints; its signature says how they were come by (Post 2018).

BLEU of Chinese is over characters. A corpus in several languages is scored as one, each sentence with the tokens of its own.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

from inkstone.errors import MissingExtraError
from inkstone.evaluation.label_scores import same_length
from inkstone.text.language_codes import WITHOUT_BLANKS

ORDER = 4  # of BLEU
CHARACTERS = 6  # of chrF
BETA = 2


def require_sacrebleu() -> Any:
    """The package. Raises MissingExtraError where it is not installed."""
    try:
        import sacrebleu
    except ImportError:
        raise MissingExtraError("sacrebleu", "translate", "scoring translations") from None
    return sacrebleu


def bleu_tokenizer(language: str | None) -> str:
    """sacrebleu's tokenizer for a language: "zh", single characters for others without blanks, else "13a"."""
    return "zh" if language == "zh" else "char" if language in WITHOUT_BLANKS else "13a"


@cache
def _bleu(language: str | None) -> Any:
    return require_sacrebleu().BLEU(tokenize=bleu_tokenizer(language))


@cache
def _chrf() -> Any:
    return require_sacrebleu().CHRF()


def bleu_statistics(
    translations: Sequence[str], references: Sequence[Sequence[str]], language: str | None = None
) -> Float[np.ndarray, "n 10"]:
    """For each sentence: its length, that of the nearest reference, n-grams that are right (4), n-grams (4).

    Raises TextError for unequal numbers, MissingExtraError without sacrebleu.
    """
    return _statistics(_bleu(language), translations, references, 2 + 2 * ORDER)


def chrf_statistics(translations: Sequence[str], references: Sequence[Sequence[str]]) -> Float[np.ndarray, "n 18"]:
    """For each sentence and n: character n-grams of the translation, of the reference it fits best, and of both.

    Raises as `bleu_statistics`.
    """
    return _statistics(_chrf(), translations, references, 3 * CHARACTERS)


def _statistics(
    metric: Any, translations: Sequence[str], references: Sequence[Sequence[str]], size: int
) -> Float[np.ndarray, "n m"]:
    same_length(references, translations)
    rows = [
        metric._extract_corpus_statistics([text], [[each] for each in own])[0]
        for text, own in zip(translations, references, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, size)


def bleu(sums: Float[np.ndarray, "*rest 10"]) -> Float[np.ndarray, "*rest"]:
    """BLEU, from 0 to 1, of summed statistics. Where no n-gram of a size is right, 1/2, 1/4, ... of one counts (Chen, Cherry 2014)."""
    length, reference = sums[..., 0], sums[..., 1]
    right, total = sums[..., 2 : 2 + ORDER], sums[..., 2 + ORDER :]
    none = (right == 0) & (total > 0)
    smoothed = np.where(none, 0.5 ** np.cumsum(none, axis=-1), right)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.log(smoothed / total)
        brevity = np.where(length < reference, np.exp(1 - reference / length), 1.0)
        found = brevity * np.exp(logarithms.mean(-1))
    return np.where((right.sum(-1) > 0) & (total > 0).all(-1), found, 0.0)


def chrf(sums: Float[np.ndarray, "*rest 18"]) -> Float[np.ndarray, "*rest"]:
    """chrF2, from 0 to 1, of summed statistics: the mean over the n that both sides have n-grams of."""
    counts = sums.reshape(*sums.shape[:-1], CHARACTERS, 3)
    own, reference, both = counts[..., 0], counts[..., 1], counts[..., 2]
    counted = (own > 0) & (reference > 0)
    effective = np.maximum(counted.sum(-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(counted, both / own, 0.0).sum(-1) / effective
        recall = np.where(counted, both / reference, 0.0).sum(-1) / effective
        found = (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
    return np.where(precision + recall > 0, found, 0.0)


def signatures(language: str | None, references: int = 1) -> dict[str, str]:
    """What sacrebleu calls the figures, so that others can compute the same: {"BLEU": "nrefs:1|case:mixed|...", "chrF": ...}."""
    found = {}
    for name, metric in (("BLEU", _bleu(language)), ("chrF", _chrf())):
        metric.num_refs = references
        found[name] = str(metric.get_signature())
    return found
