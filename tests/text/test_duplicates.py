import numpy as np
import polars as pl

from inkstone.text import shingles
from inkstone.text.document import documents
from inkstone.text.duplicates import (
    BANDS,
    ExactDuplicates,
    NearDuplicates,
    band_keys,
    content_digests,
    near_duplicates,
    signature_marks,
    similarity,
)
from inkstone.text.shingles import PERMUTATIONS, signatures


def random_texts(count: int, seed: int, words: int = 120) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(f"w{number}" for number in generator.integers(0, 4000, words)) for _ in range(count)]


def changed(text: str, changes: int, seed: int) -> str:
    words = text.split()
    generator = np.random.default_rng(seed)
    for place in generator.choice(len(words), changes, replace=False):
        words[place] = f"n{seed}x{place}"
    return " ".join(words)


def jaccard(a: str, b: str) -> float:
    def grams(text):
        words = text.split()
        return {tuple(words[i : i + shingles.UNITS]) for i in range(len(words) - shingles.UNITS + 1)}

    return len(grams(a) & grams(b)) / len(grams(a) | grams(b))


def test_planted_duplicates_are_found_and_named():
    texts = random_texts(200, seed=0)
    copies = [text.upper().replace(" ", "\n ") for text in texts[:20]]
    edited = [changed(text, 1, seed) for seed, text in enumerate(texts[20:60])]
    reasons = near_duplicates(documents(texts + copies + edited))["dropped"].to_list()
    assert reasons[:200] == [None] * 200
    assert reasons[200:220] == [f"duplicate of memory#{number}" for number in range(20)]
    assert reasons[220:] == [f"near-duplicate of memory#{number}" for number in range(20, 60)]


def test_against_brute_force_jaccard():
    """Every pair above 0.9 is found, none below 0.65 is; between, the estimate decides."""
    texts = random_texts(40, seed=5)
    variants = [changed(texts[number % 40], changes, number) for number, changes in enumerate([1, 2, 3, 4, 6, 9] * 20)]
    everything = texts + variants
    frame = near_duplicates(documents(everything))
    for number, reason in enumerate(frame["dropped"]):
        similar = [jaccard(everything[number], everything[earlier]) for earlier in range(number)]
        if reason is None:
            kept_before = [
                jaccard(everything[number], everything[e]) for e in range(number) if frame["dropped"][e] is None
            ]
            assert max(kept_before, default=0) < 0.9
        else:
            kept = int(reason.rpartition("#")[2])
            assert frame["dropped"][kept] is None
            assert similar[kept] > 0.65


def test_chinese_near_duplicates():
    text = "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。及秦灭之后，楚、汉分争，又并入于汉。汉朝自高祖斩白蛇而起义，一统天下，后来光武中兴，传至献帝，遂分为三国。推其致乱之由，殆始于桓、灵二帝。"
    other = "滚滚长江东逝水，浪花淘尽英雄。是非成败转头空。青山依旧在，几度夕阳红。白发渔樵江渚上，惯看秋月春风。一壶浊酒喜相逢。古今多少事，都付笑谈中。"
    frame = near_duplicates(documents([text, other, text.replace("三国", "三国矣"), text[:50]]))
    assert frame["dropped"].to_list() == [None, None, "near-duplicate of memory#0", None]


def test_batches_make_no_difference():
    texts = random_texts(60, seed=2)
    texts += texts[:10] + [changed(text, 1, 7) for text in texts[10:30]]
    frame = documents([texts[place] for place in np.random.default_rng(0).permutation(len(texts))])
    whole = near_duplicates(frame)
    for size in (1, 7, 50):
        exact, near, parts = ExactDuplicates(), NearDuplicates(), []
        for start in range(0, len(frame), size):
            part = exact.drop(frame[start : start + size], content_digests(frame["text"][start : start + size]))
            values, enough = signatures(part["text"])
            rows = np.flatnonzero(enough & part["dropped"].is_null().to_numpy())
            parts.append(near.drop(part, rows, signature_marks(values[rows]), band_keys(values[rows])))
        assert pl.concat(parts).equals(whole)


def test_memory_is_about_230_bytes_a_document():
    near, exact = NearDuplicates(), ExactDuplicates()
    generator = np.random.default_rng(0)
    for batch in range(10):
        frame = pl.DataFrame(
            {"id": [f"f#{batch}-{n}" for n in range(2000)], "dropped": pl.Series([None] * 2000, dtype=pl.String)}
        )
        frame = exact.drop(frame, generator.integers(0, 1 << 63, (2000, 2), dtype=np.uint64))
        values = generator.integers(0, 1 << 32, (2000, PERMUTATIONS), dtype=np.uint32)
        near.drop(frame, np.arange(2000), signature_marks(values), band_keys(values))
    held = near.marks.rows.nbytes + exact.digests.rows.nbytes
    held += sum(run.nbytes for index in (*near.bands, exact.index) for run in index.runs)
    held += sum(len(block) for names in (near.names, exact.names) for block in names.blocks)
    assert len(near.bands) == BANDS
    assert held / 20_000 < 250


def test_similarity_is_estimated_from_four_bits():
    generator = np.random.default_rng(0)
    mine = generator.integers(0, 1 << 32, (400, PERMUTATIONS), dtype=np.uint32)
    for share in (0.0, 0.5, 0.8, 1.0):
        others = np.where(generator.random(mine.shape) < share, mine, generator.integers(0, 1 << 32, mine.shape))
        found = similarity(signature_marks(others), signature_marks(mine))
        assert abs(found.mean() - share) < 0.01 and found.std() < 0.06
