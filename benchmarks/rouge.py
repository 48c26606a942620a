"""How good are summaries without training, and how fast is our ROUGE against rouge-score?

    INKSTONE_DATA=FOLDER python benchmarks/rouge.py

One sentence of each abstract for the summary of a paper (SciTLDR, the best of several summaries) and for its title (CSL); dev
parts alone. Then the same pairs are scored by both programs in turn, ROUGE-1, 2, L and Lsum, in seconds of the processor.
rouge-score has no tokens of Chinese, so that it is given ours.
"""

import argparse
import json
import lzma
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from inkstone.evaluation.intervals import figure_interval, ratio
from inkstone.evaluation.rouge import RougeScores, rouge_scores
from inkstone.evaluation.rouge_tokens import rouge_tokens
from inkstone.text.extractive import lead, textrank
from inkstone.text.words import sentences
from mirror import the_mirror
from results import FOLDER, write_result

KINDS = {"ROUGE-1": "rouge1", "ROUGE-2": "rouge2", "ROUGE-L": "rougeL", "ROUGE-Lsum": "rougeLsum"}
SHOWN = ("ROUGE-1", "ROUGE-2", "ROUGE-L")
BOOK = "war-and-peace"

Pairs = tuple[list[str], list[list[str]]]  # texts, and the references of each


class OurTokens:
    """Our tokens for rouge-score."""

    def tokenize(self, text: str) -> list[str]:
        return rouge_tokens(text)


def papers(mirror: Path) -> tuple[list[list[str]], list[list[str]]]:
    """The sentences of each abstract of SciTLDR, and its summaries."""
    with lzma.open(mirror / "summ-scitldr-a" / "dev.jsonl.xz", "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    return [paper["source"] for paper in found], [paper["target"] for paper in found]


def articles(mirror: Path) -> tuple[list[list[str]], list[list[str]]]:
    """The sentences of each abstract of CSL, and its title."""
    with lzma.open(mirror / "csl" / "ts-dev.tsv.xz", "rt", encoding="utf-8") as lines:
        found = [line.rstrip("\n").split("\t") for line in lines]
    return [sentences(abstract, "zh") for _, abstract, _ in found], [[title] for _, _, title in found]


def long_pair(abstracts: list[list[str]], words: int) -> Pairs:
    """Two texts of so many words, of abstracts one after another."""
    lines, texts = iter(line for abstract in abstracts for line in abstract), []
    for _ in range(2):
        text: list[str] = []
        while sum(len(rouge_tokens(line)) for line in text) < words:
            text.append(next(lines))
        texts.append("\n".join(text))
    return [texts[0]], [[texts[1]]]


def timed(action: Callable):
    began = time.process_time()
    outcome = action()
    return outcome, time.process_time() - began


def race(pairs: Pairs, peer: RougeScorer, rounds: int) -> tuple[RougeScores, float, float, float]:
    """Our scores, pairs a second of both (medians), and the median of the ratios. The scores must be the same."""
    texts, references = pairs
    ours, theirs = [], []
    for _ in range(rounds):
        scores, seconds = timed(lambda: rouge_scores(texts, references, list(KINDS)))
        ours.append(seconds)
        found, seconds = timed(
            lambda: [peer.score_multi(own, text) for text, own in zip(texts, references, strict=True)]
        )
        theirs.append(seconds)
    for kind, name in KINDS.items():
        own = [(score[name].precision, score[name].recall, score[name].fmeasure) for score in found]
        if np.abs(scores.each[kind] - own).max() > 1e-12:
            sys.exit(f"{kind} is not that of rouge-score")
    n = sum(map(len, references))
    speedup = statistics.median(peer_seconds / own for own, peer_seconds in zip(ours, theirs, strict=True))
    return scores, n / statistics.median(ours), n / statistics.median(theirs), speedup


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--words", type=int, default=2000, help="of the two long texts")
    parser.add_argument("--texts", type=int, help="of each set (for a quick look)")
    parser.add_argument("--out", type=Path, default=FOLDER / "rouge.json")
    options = parser.parse_args()
    mirror = the_mirror()
    english, chinese = RougeScorer(list(KINDS.values())), RougeScorer(list(KINDS.values()), tokenizer=OurTokens())
    generator = np.random.default_rng(0)
    rows: list[list] = []
    for data, (abstracts, references), peer in (
        ("SciTLDR", papers(mirror), english),
        ("CSL titles", articles(mirror), chinese),
    ):
        abstracts, references = abstracts[: options.texts], references[: options.texts]
        for summary, texts in (
            ("first sentence", [lead(abstract, 1)[0] for abstract in abstracts]),
            ("sentence by TextRank", [textrank(abstract, 1)[0] for abstract in abstracts]),
            ("whole abstract", ["\n".join(abstract) for abstract in abstracts]),
        ):
            scores, ours, theirs, speedup = race((texts, references), peer, options.rounds)
            low, high = figure_interval(scores.statistics("ROUGE-L"), ratio, generator=generator)
            assert low is not None and high is not None
            figures = [round(100 * scores.mean(kind).f1, 1) for kind in SHOWN]
            rows.append([data, summary, *figures, f"{100 * low:.1f} – {100 * high:.1f}", ours, theirs, speedup])
    _, ours, theirs, speedup = race(long_pair(papers(mirror)[0], options.words), english, options.rounds)
    rows.append(
        [f"{options.words:,} words beside {options.words:,}", None, None, None, None, None, ours, theirs, speedup]
    )
    with lzma.open(mirror / "gutenberg-en" / f"{BOOK}.txt.xz", "rt", encoding="utf-8") as file:
        book = sentences(file.read())
    _, seconds = timed(lambda: textrank(book, 1))
    write_result(
        options.out,
        question="How good are summaries without training, and how fast is our ROUGE against rouge-score?",
        columns=[
            "data", "summary", *SHOWN, "ROUGE-L, 95 % interval", "pairs/s", "pairs/s, rouge-score", "inkstone is faster by",
        ],
        rows=rows,
        notes=[
            "F1 in %, dev parts; of the several summaries of a paper the best counts. English words are not stemmed; Chinese "
            "is counted by characters.",
            f"Seconds of the processor, medians of {options.rounds} turns: ROUGE-1, 2, L and Lsum. Both give the same figures; "
            "rouge-score, which has no tokens of Chinese, is given ours.",
            f"TextRank over the {len(book):,} sentences of War and Peace: {seconds:.1f} s of the processor.",
            "Processor time is what a speed on a machine shared with other work is to be read from.",
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
