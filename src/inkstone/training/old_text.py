"""The text that a model read before it is adapted: found, written by its tokenizer of now, and told among new text."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from inkstone.errors import CheckpointError
from inkstone.files import whole_folder
from inkstone.run import Run
from inkstone.text.already_read import BEGINNING, AlreadyRead
from inkstone.tokens.cutting import pieces
from inkstone.tokens.shards import ShardWriter, TokenShards, write_shards
from inkstone.tokens.tokenizer import Tokenizer

PIECE = 8_000  # characters of held-out text that are scored together, where not all of it is
AT_ONCE = 256  # documents that are tokenised together


def texts_of_run(folder: Path) -> tuple[list[TokenShards], list[TokenShards]]:
    """All that the run in a folder learned from, and all that it kept aside, each as one or two texts; nothing of a checkpoint.

    Raises CheckpointError where shards are damaged.
    """
    run = Run(folder)
    train = [run.train_shards, run.old_train_shards]
    held_out = [run.held_out_shards, run.old_held_out_shards]
    found = [
        [TokenShards.open(path) for path in paths if (path / "index.json").is_file()] for paths in (train, held_out)
    ]
    return (found[0], found[1]) if all(found) else ([], [])


def known_documents(texts: Sequence[TokenShards], tokenizer: Tokenizer, cut: bool) -> AlreadyRead:
    """What tells the documents of these texts among others; `cut` where the ends of long ones stand apart."""
    firsts = np.cumsum([0, *(shards.n_documents for shards in texts)])

    def ids(number: int) -> np.ndarray:
        text = int(np.searchsorted(firsts, number, side="right")) - 1
        return texts[text].document(number - int(firsts[text]))

    sizes = np.concatenate([shards.document_bytes for shards in texts])
    return AlreadyRead(
        sizes.tolist(),
        lambda number: tokenizer.decode(ids(number)),
        (lambda number: tokenizer.decode(ids(number)[: 4 * BEGINNING])) if cut else None,
    )


def gather(texts: Sequence[TokenShards], before: Tokenizer, tokenizer: Tokenizer, folder: Path) -> TokenShards:
    """The documents of several texts, written by the tokenizer `before`, in one folder and by `tokenizer`."""
    with whole_folder(folder) as part:
        writer = ShardWriter(part, tokenizer)
        for shards in texts:
            if before.fingerprint == tokenizer.fingerprint:
                for number in range(shards.n_documents):
                    writer.add(shards.document(number), int(shards.document_bytes[number]))
                continue
            for group in _groups(shards):
                encoded = tokenizer.encode_batch([before.decode(shards.document(number)) for number in group])
                for number, ids in zip(group, encoded, strict=True):
                    writer.add(ids, int(shards.document_bytes[number]))
        writer.close()
    return TokenShards(folder, verify=False)


def spread(texts: Sequence[str], tokenizer: Tokenizer, most: float, folder: Path) -> TokenShards:
    """About `most` bytes from all over texts, as shards: to be scored whole, again and again.

    The texts are whole where all of them are no more than that; else every n-th piece of a few pages is taken.
    """
    total = sum(len(text.encode("utf-8", "replace")) for text in texts)
    if total > most:
        parts = [part for text in texts for part in pieces(text, PIECE)]
        count = max(1, min(len(parts), round(len(parts) * most / total)))
        texts = [parts[int((number + 0.5) * len(parts) / count)] for number in range(count)]
    return write_shards([list(texts)], tokenizer, folder)


def written_before(folder: Path, tokenizer: Tokenizer) -> TokenShards | None:
    """What an earlier call wrote into a folder by this tokenizer, whole; None otherwise."""
    try:
        shards = TokenShards.open(folder)
    except CheckpointError:
        return None
    return shards if shards.tokenizer_fingerprint == tokenizer.fingerprint else None


def in_tokens_of(shards: TokenShards, before: Tokenizer, tokenizer: Tokenizer) -> list[np.ndarray]:
    """The documents as another tokenizer cuts them, or as they are where it is the same one."""
    if before.fingerprint == tokenizer.fingerprint:
        return list(shards.documents())
    return tokenizer.encode_batch([before.decode(ids) for ids in shards.documents()])


def _groups(shards: TokenShards) -> Iterator[range]:
    for first in range(0, shards.n_documents, AT_ONCE):
        yield range(first, min(first + AT_ONCE, shards.n_documents))
