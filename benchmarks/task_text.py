"""Plain text of the mirror to learn word vectors and encoders from: training parts alone, a paragraph or sentence a line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from inkstone.text.conllu import read_conllu
from task_sets import chnsenticorp, clinc150, cold, csl, davidson, gsdsimp_words, sst2, unpacked

SPACED = (
    (" @-@ ", "-"),
    (" @,@ ", ","),
    (" @.@ ", "."),
    ("<unk>", ""),
)  # what WikiText writes otherwise than people do


def plain_text(mirror: Path, language: str) -> str:
    """The text of one language."""
    lines = english(mirror) if language == "en" else chinese(mirror)
    return "".join(f"{line}\n" for line in lines if line.strip())


def english(mirror: Path) -> Iterator[str]:
    """WikiText-2, the novels, and the training parts of the English sets."""
    text = unpacked(mirror / "wikitext-2" / "train.txt.xz")
    for old, new in SPACED:
        text = text.replace(old, new)
    yield from text.splitlines()
    for book in sorted((mirror / "gutenberg-en").glob("*.xz")):
        yield from (" ".join(part.split()) for part in re.split(r"\n\s*\n", unpacked(book)))
    yield from (" ".join(s.forms) for s in read_conllu(mirror / "ud-en-ewt" / "en_ewt-ud-train.conllu.xz"))
    for block in re.split(r"\n\s*\n", unpacked(mirror / "ner-wnut17" / "train.conll.xz")):
        yield " ".join(line.split("\t")[0].strip() for line in block.splitlines())
    yield from labelled(mirror, (sst2, clinc150, davidson))
    for line in unpacked(mirror / "qa-squad-v1.1-dev" / "dev-not-xquad.jsonl.xz").splitlines():
        yield json.loads(line)["context"]


def chinese(mirror: Path) -> Iterator[str]:
    """Wikipedia, the novels, and the training parts of the Chinese sets."""
    for part in "ab":
        for line in unpacked(mirror / "zhwiki" / f"zhwiki-{part}.jsonl.xz").splitlines():
            yield from json.loads(line)["text"].splitlines()
    for book in sorted((mirror / "chinese-novels").glob("*.xz")):
        yield from unpacked(book).splitlines()
    yield from ("".join(words) for words in gsdsimp_words(mirror, "train"))
    yield from labelled(mirror, (chnsenticorp, cold, csl))
    told = json.loads(unpacked(mirror / "qa-drcd" / "DRCD_dev.json.xz"))
    yield from (each["context"] for article in told["data"] for each in article["paragraphs"])


def labelled(mirror: Path, writers) -> Iterator[str]:
    """The texts of the training parts of labelled sets."""
    for writer in writers:
        with TemporaryDirectory() as scratch:
            for path in writer(mirror, Path(scratch))["train"]:
                for line in path.read_text(encoding="utf-8").splitlines():
                    yield " ".join(json.loads(line)["text"].split())
