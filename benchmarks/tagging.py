"""How well and how fast do our taggers tag parts of speech, against CRFsuite with the same features?

    INKSTONE_DATA=FOLDER python benchmarks/tagging.py

Universal Dependencies with gold words: English EWT, and Chinese GSD in simplified characters. Seconds are of the processor,
features included; the contestants take turns in one process. CRFsuite gets every feature that our CRF looks at, as strings.
"""

import argparse
import json
import lzma
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pycrfsuite
import torch

from inkstone.models.crf_tagger import CRFTaggerSettings, train_tagger
from inkstone.models.hmm_tagger import train_hmm_tagger
from inkstone.models.tag_features import AFTER, BEFORE, OFFSETS, PAIRS, features_at, part_of
from inkstone.text.conllu import read_conllu
from inkstone.text.dictionary import dictionary_tag
from mirror import the_mirror
from results import FOLDER, write_result

Sentences = list[tuple[list[str], list[str]]]
Tag = Callable[[list[list[str]]], list[list[str]]]


def english(mirror: Path) -> tuple[Sentences, dict[str, Sentences]]:
    """The training part and the test part."""
    train, test = (
        [(s.forms, s.column("upos")) for s in read_conllu(mirror / "ud-en-ewt" / f"en_ewt-ud-{part}.conllu.xz")]
        for part in ("train", "test")
    )
    return train, {"English EWT": test}


def chinese(mirror: Path) -> tuple[Sentences, dict[str, Sentences]]:
    """The words in simplified characters with the tags of release 1.4; the test part with those of today as well.

    The training part of GSDSimp is not in the mirror: its words are those of the layer of names, its tags those of 1.4.
    """
    with lzma.open(mirror / "ner-uner-zh-gsdsimp" / "zh_gsdsimp-ud-train.iob2.xz", "rt", encoding="utf-8") as file:
        blocks = file.read().split("\n\n")
    simplified = [
        [line.split("\t")[1] for line in block.split("\n") if line and line[0] != "#"]
        for block in blocks
        if block.strip()
    ]
    old, test = (
        [s.column("upos") for s in read_conllu(mirror / "ud-zh-v1.4" / f"zh-ud-{part}.conllu.xz")]
        for part in ("train", "test")
    )
    new = list(read_conllu(mirror / "ud-zh-gsdsimp" / "zh_gsdsimp-ud-test.conllu.xz"))
    train = [(words, tags) for words, tags in zip(simplified, old, strict=True) if len(words) == len(tags)]
    return train, {
        "Chinese GSD 1.4, simplified": [(s.forms, tags) for s, tags in zip(new, test, strict=True)],
        "the same, today's tags": [(s.forms, s.column("upos")) for s in new],
    }


def feature_strings(words: list[str]) -> list[list[str]]:
    """Every feature of `models/tag_features.py`, for each word, as CRFsuite wants them."""
    line = [BEFORE, BEFORE, *words, AFTER, AFTER]
    chinese = any(dictionary_tag(word) for word in words)
    found = []
    for at in range(2, len(words) + 2):
        names = [name for offset in OFFSETS for name in features_at(line[at + offset], offset)]
        for number, ((first, kind), (second, other)) in enumerate(PAIRS):
            if kind == "mostly" and not chinese:
                continue
            names.append(f"{number}|{part_of(line[at + first], kind)}|{part_of(line[at + second], other)}")
        found.append(names)
    return found


def hmm(train: Sentences) -> Tag:
    return train_hmm_tagger(train).tag


def crf(train: Sentences) -> Tag:
    return train_tagger(train, CRFTaggerSettings()).tag


def crfsuite(algorithm: str, train: Sentences) -> Tag:
    trainer = pycrfsuite.Trainer(algorithm=algorithm, verbose=False)
    trainer.set("feature.minfreq", 2)
    if algorithm == "lbfgs":
        trainer.set_params({"c2": 1.0, "max_iterations": 100})
    for words, tags in train:
        trainer.append(feature_strings(words), tags)
    with tempfile.TemporaryDirectory() as folder:
        trainer.train(f"{folder}/model")
        tagger = pycrfsuite.Tagger()
        tagger.open(f"{folder}/model")
    return lambda sentences: [tagger.tag(feature_strings(words)) for words in sentences]


CONTESTANTS: dict[str, Callable[[Sentences], Tag]] = {
    "HMM, inkstone": hmm,
    "CRF, inkstone": crf,
    "CRFsuite, L-BFGS": lambda train: crfsuite("lbfgs", train),
    "CRFsuite, averaged perceptron": lambda train: crfsuite("ap", train),
}


def race(train: Sentences, tests: dict[str, Sentences], taggers: list[str]) -> list[list]:
    """Rows of the table: one for each contestant and test part."""
    rows = []
    for who in taggers:
        begin = time.process_time()
        tag = CONTESTANTS[who](train)
        learning = time.process_time() - begin
        read: list[list[str]] = []
        tagged: list[list[str]] = []
        for name, test in tests.items():
            sentences, rate = [words for words, _ in test], None
            words = sum(map(len, sentences))
            if sentences != read:  # words that were tagged already are not tagged again
                begin = time.process_time()
                read, tagged = sentences, tag(sentences)
                rate = words / (time.process_time() - begin)
            right = sum(
                a == b for got, (_, gold) in zip(tagged, test, strict=True) for a, b in zip(got, gold, strict=True)
            )
            rows.append([name, who, 100 * right / words, learning, rate])
            print(*rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--sentences", type=int, help="of the training part, at most (for a quick look)")
    parser.add_argument("--taggers", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="TAGGER")
    parser.add_argument("--add", action="store_true", help="keep the rows of other taggers that the file has already")
    parser.add_argument("--out", type=Path, default=FOLDER / "tagging.json")
    options = parser.parse_args()
    mirror = the_mirror()
    torch.set_num_threads(1)
    rows, texts = [], []
    for train, tests in (english(mirror), chinese(mirror)):
        rows += race(train[: options.sentences], tests, options.taggers)
        texts += tests
    if options.add:
        before = json.loads(options.out.read_text())["table"]["rows"]
        rows += [row for row in before if row[1] not in options.taggers]
    order = list(CONTESTANTS)
    rows.sort(key=lambda row: (texts.index(row[0]), order.index(row[1])))
    write_result(
        options.out,
        question="How well and how fast do our taggers tag parts of speech, against CRFsuite with the same features?",
        columns=["text", "tagger", "right, %", "training, s", "words/s"],
        rows=rows,
        notes=[
            "UPOS of the test parts with gold words; one thread, seconds of the processor, features included.",
            "Features found once are left out by all; both L-BFGS stop at 100 evaluations or iterations.",
            """Chinese: the training part has the tags of release 1.4, so the row with today's tags counts also what the
            treebank itself has changed since.""",
        ],
    )


if __name__ == "__main__":
    main()
