"""What must be remembered of millions of documents, in flat and compressed arrays: keys, rows, ids."""

import json
import zlib

import numpy as np
import polars as pl

IDS_TOGETHER = 256  # ids compressed as one block: a look-up unpacks some 10 kB


class PostingRuns:
    """A map from 32-bit keys to document numbers that grows by batches: sorted runs, merged as they double.

    Eight bytes an entry, and for a moment as many again for the entries that are being merged.
    """

    def __init__(self) -> None:
        self.runs: list[np.ndarray] = []  # uint64: key << 32 | document

    def add(self, keys: np.ndarray, documents: np.ndarray) -> None:
        """Remember the documents under their keys."""
        run = keys.astype(np.uint64) << np.uint64(32) | documents.astype(np.uint64)
        run.sort()
        while self.runs and len(self.runs[-1]) < 2 * len(run):
            run = np.concatenate((self.runs.pop(), run))
            run.sort(kind="stable")
        self.runs.append(run)

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All pairs (position in `keys`, document) whose key is the same."""
        order = np.argsort(keys)  # a search for sorted keys goes once through the memory, not to and fro
        wanted = keys[order].astype(np.uint64) << np.uint64(32)
        positions, documents = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
        for run in self.runs:
            low = np.searchsorted(run, wanted)
            inside = low < len(run)
            hits = np.flatnonzero(inside)[run[low[inside]] >> np.uint64(32) == wanted[inside] >> np.uint64(32)]
            high = np.searchsorted(run, wanted[hits] | np.uint64(0xFFFFFFFF), side="right")
            for hit, end in zip(hits, high, strict=True):
                found = run[low[hit] : end] & np.uint64(0xFFFFFFFF)
                documents.append(found)
                positions.append(np.full(len(found), order[hit]))
        return np.concatenate(positions), np.concatenate(documents).astype(np.int64)


class Growing:
    """Rows appended to one array, whose room grows by an eighth when it is full."""

    def __init__(self, width: int, dtype: type) -> None:
        self.rows = np.zeros((0, width), dtype=dtype)
        self.count = 0

    def add(self, rows: np.ndarray) -> None:
        """Append rows."""
        needed = self.count + len(rows)
        if needed > len(self.rows):
            # resize copies in place where it can: at no time are there two copies of a large array
            self.rows.resize((max(needed, len(self.rows) * 9 // 8, 1024), self.rows.shape[1]), refcheck=False)
        self.rows[self.count : needed] = rows
        self.count = needed


class Names:
    """The ids of documents by number; ids that follow each other are much alike, and take a few bytes each."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []  # of IDS_TOGETHER ids each
        self.last: list[str] = []
        self.count = 0

    def add(self, ids: pl.Series) -> None:
        """Number the next documents."""
        self.last += ids.to_list()
        self.count += len(ids)
        full = len(self.last) // IDS_TOGETHER * IDS_TOGETHER
        for start in range(0, full, IDS_TOGETHER):
            self.blocks.append(zlib.compress(json.dumps(self.last[start : start + IDS_TOGETHER]).encode(), 6))
        del self.last[:full]

    def __getitem__(self, number: int) -> str:
        block, place = divmod(int(number), IDS_TOGETHER)
        if block == len(self.blocks):
            return self.last[place]
        return json.loads(zlib.decompress(self.blocks[block]))[place]
