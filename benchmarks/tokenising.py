"""How fast does text become a tokenizer, and then tokens on disk, against tokenizers and datatrove?

    INKSTONE_DATA=FOLDER python benchmarks/tokenising.py

Learning: `learn_tokenizer` against the trainer of the library `tokenizers` with the same pattern and size, both on
the whole text. Tokenising: `write_shards`, checksums included, against `Tokenizer.encode_batch` of the same documents,
which writes nothing, and datatrove's DocumentTokenizer, which writes; all three with the same tokenizer.json, opened
anew for each run so that nothing is remembered from the last one. The contestants take turns; figures are medians.
"""

import argparse
import lzma
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from inkstone.tokens.byte_bpe import byte_level_backend
from inkstone.tokens.fertility import fertility
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.shards import write_shards
from inkstone.tokens.tokenizer import END, Tokenizer
from mirror import the_mirror
from results import FOLDER, write_result


def corpora(mirror: Path) -> dict[str, list[str]]:
    """Documents by name: many short ones, a few long ones, Chinese."""

    def read(name: str) -> str:
        return lzma.decompress((mirror / name).read_bytes()).decode()

    articles = re.split(r"(?m)^(?= = [^=])", read("wikitext-2/train.txt.xz"))
    return {
        "WikiText-2, English articles": [article for article in articles if article.strip()],
        "English novels": [read(str(path)) for path in sorted(mirror.glob("gutenberg-en/*.txt.xz"))],
        "Chinese novels": [read(str(path)) for path in sorted(mirror.glob("chinese-novels/*.txt.xz"))],
    }


def learn_ours(texts: list[str], size: int) -> Tokenizer:
    return learn_tokenizer(texts, "byte-bpe", size, sample_bytes=1 << 40)


def learn_theirs(texts: list[str], size: int) -> tokenizers.Tokenizer:
    backend = byte_level_backend(models.BPE())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size - 3, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(texts, trainer)
    return backend


def write_ours(texts: list[str], folder: Path) -> int:
    tokenizer = Tokenizer.load(folder)
    return write_shards([texts], tokenizer, folder / "ours").n_tokens


def encode_theirs(texts: list[str], folder: Path) -> int:
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens = 1
    for start in range(0, len(texts), 1000):
        encodings = tokenizer.encode_batch(texts[start : start + 1000], add_special_tokens=False)
        tokens += sum(len(encoding.ids) + 1 for encoding in encodings)
    return tokens


def write_datatrove(texts: list[str], folder: Path) -> int:
    from datatrove.data import Document
    from datatrove.pipeline.tokens import DocumentTokenizer

    step = DocumentTokenizer(
        str(folder / "datatrove"), str(folder / "tokenizer.json"), eos_token=END, shuffle_documents=False
    )
    for _ in step.run(iter([Document(text=text, id=str(number)) for number, text in enumerate(texts)])) or ():
        pass
    return sum(path.stat().st_size for path in (folder / "datatrove").rglob("*.ds")) // 2 + 1


def timed(action: Callable[[], object]) -> tuple[float, object]:
    begin = time.perf_counter()
    outcome = action()
    return time.perf_counter() - begin, outcome


def in_turn(actions: list[Callable[[], object]], repeats: int) -> tuple[list[list[float]], list[object]]:
    """Seconds of each action at each repeat, and the outcomes of the last one."""
    seconds: list[list[float]] = [[] for _ in actions]
    outcomes: list[object] = [None] * len(actions)
    for _ in range(repeats):
        for number, action in enumerate(actions):
            elapsed, outcomes[number] = timed(action)
            seconds[number].append(elapsed)
    return seconds, outcomes


def ratio(theirs: list[float], ours: list[float]) -> float:
    return statistics.median(their / our for their, our in zip(theirs, ours, strict=True))


def race(texts: list[str], vocab_size: int, repeats: int, folder: Path) -> list[list]:
    """Rows of the table for one corpus."""
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    seconds, learned = in_turn(
        [lambda: learn_ours(texts, vocab_size), lambda: learn_theirs(texts, vocab_size)], repeats
    )
    ours, theirs = learned
    assert isinstance(ours, Tokenizer) and isinstance(theirs, tokenizers.Tokenizer)
    theirs.add_special_tokens([END])
    fits = [fertility(tokenizer, texts).bytes_per_token for tokenizer in (ours, Tokenizer(theirs))]
    rows = []
    for name, times, fit in zip(("inkstone", "tokenizers"), seconds, fits, strict=True):
        median = statistics.median(times)
        rows.append([f"learn, {name}", megabytes, median, megabytes / median, ratio(times, seconds[0]), fit])
    ours.save(folder)
    contestants = {"inkstone": write_ours, "tokenizers, nothing written": encode_theirs, "datatrove": write_datatrove}
    seconds, tokens = in_turn([lambda c=c: c(texts, folder) for c in contestants.values()], repeats)

    for name, times, count in zip(contestants, seconds, tokens, strict=True):
        median = statistics.median(times)
        assert isinstance(count, int)
        rows.append(
            [
                f"tokenise, {name}",
                megabytes,
                median,
                megabytes / median,
                ratio(times, seconds[0]),
                megabytes * 1e6 / count,
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=5, help="turns of all contestants")
    parser.add_argument("--megabytes", type=float, help="of each corpus, at most (for a quick look)")
    parser.add_argument("--out", type=Path, default=FOLDER / "tokenising.json")
    options = parser.parse_args()
    mirror = the_mirror()
    os.environ["DATATROVE_COLORIZE_LOGS"] = "0"
    rows = []
    for name, texts in corpora(mirror).items():
        if options.megabytes:
            share = min(1.0, options.megabytes * 1e6 / sum(len(text.encode()) for text in texts))
            texts = [text[: int(len(text) * share)] for text in texts]
        with tempfile.TemporaryDirectory() as folder:
            rows += [[name, *row] for row in race(texts, options.vocab_size, options.repeats, Path(folder))]
    write_result(
        options.out,
        question="How fast does text become a tokenizer, and then tokens, against tokenizers and datatrove?",
        columns=["text", "contestant", "MB", "seconds", "MB/s", "time / inkstone's", "bytes per token"],
        rows=rows,
        notes=[
            f"Vocabulary of {options.vocab_size}; medians of {options.repeats} turns; byte-level BPE, one pattern.",
            "Inkstone's shards carry SHA-256 checksums and document ends; tokenizers writes nothing.",
        ],
    )


if __name__ == "__main__":
    main()
