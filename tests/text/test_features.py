"""Counts against a plain Counter over plain loops, TF–IDF against scikit-learn, and a batched reading against a whole one."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st
from polars.testing import assert_frame_equal

from inkstone.errors import TextError
from inkstone.text.document import documents
from inkstone.text.features import Features, FeatureSettings, count
from inkstone.text.richness import moving_types, zipf_exponent
from inkstone.text.tally import Tally
from inkstone.text.term_weights import tf_idf, top_terms
from inkstone.text.words import sentences, words

TEXTS = [
    "The ink is black. Is the stone black too? Yes, the stone is black!",
    "我们来到北京。北京很大，人很多！你好吗？",
    "A mouse ran; two mice ran, and the cats\nwere running",
    "",
]


def counted(texts: list[str], tmp_path, batches: int = 1, **given_settings) -> Features:
    settings = FeatureSettings(**{"by": "document", "ngrams": 3, **given_settings})
    features = Features(settings, tmp_path)
    frame = documents(texts)
    size = -(-len(frame) // batches)
    for start in range(0, len(frame), size):
        features.add(count(frame[start : start + size], settings))
    features.finish()
    return features


def test_words_and_ngrams_are_what_plain_loops_count(tmp_path):
    features = counted(TEXTS, tmp_path)
    expected: Counter[tuple[int, str]] = Counter()
    for text in TEXTS:
        for sentence in sentences(text):
            found = [word.lower() for word in words(sentence)]
            for n in (1, 2, 3):
                expected.update((n, " ".join(found[i : i + n])) for i in range(len(found) - n + 1))
    ours = {(1, key): number for key, number, _ in features.word_table().iter_rows()}
    ours |= {(n, key): number for n, key, number in features.ngram_table().iter_rows()}
    assert ours == expected
    assert features.total.words == sum(number for (n, _), number in expected.items() if n == 1)


def test_sentences_are_told_apart_by_their_ends_and_clauses(tmp_path):
    total = counted(TEXTS, tmp_path).total
    assert total.sentence_ends == {"statement": 2, "question": 2, "exclamation": 2, "other": 1}
    assert total.sentence_words == Counter(len(words(s)) for text in TEXTS for s in sentences(text))
    assert total.clauses == 7 + 1 + 1 + 2
    assert total.languages["zh"] == 1 and total.documents == 4


def test_quotes_after_the_full_stop_do_not_hide_it(tmp_path):
    total = counted(["他说：“好。”", "“Why?” (Indeed.)"], tmp_path).total
    assert total.sentence_ends == {"statement": 2, "question": 1}


def test_lemmas_case_and_stop_words(tmp_path):
    features = counted([TEXTS[2]], tmp_path, lemmas=True, stop_words=False, language="en")
    assert dict(features.word_table().select("key", "count").iter_rows()) == {"mouse": 2, "run": 3, "cat": 1, "two": 1}
    assert "a mouse" not in features.ngram_table()["key"].to_list()
    (tmp_path / "case").mkdir()
    assert "The" in counted(TEXTS, tmp_path / "case", keep_case=True).word_table()["key"].to_list()


@pytest.mark.parametrize("batches", [2, 4])
def test_batches_add_up_to_the_whole(tmp_path, batches):
    tables = []
    for number in (1, batches):
        folder = tmp_path / str(number)
        folder.mkdir()
        features = counted(TEXTS * 3, folder, number)
        terms = pl.concat(list(features.terms(100)))
        tables.append((features.word_table(), features.ngram_table(), terms, features.units))
    for one, many in zip(*tables, strict=True):
        if isinstance(one, pl.DataFrame):
            assert_frame_equal(one, many)
        else:
            assert one == many


def test_a_file_that_crosses_batches_is_one_document(tmp_path):
    settings = FeatureSettings(by="file", ngrams=1)
    features = Features(settings, tmp_path)
    for texts, source in ((["ink"], "a.txt"), (["ink stone"], "a.txt"), (["stone"], "b.txt")):
        features.add(count(documents(texts, source), settings))
    features.finish()
    assert features.units == 2
    assert features.word_table().sort("key").rows() == [("ink", 2, 1), ("stone", 2, 2)]


def test_tf_idf_is_that_of_scikit_learn():
    vectorizer = pytest.importorskip("sklearn.feature_extraction.text").TfidfVectorizer
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(list("abcdefghij"), size=generator.integers(1, 30))) for _ in range(20)]
    expected = vectorizer(token_pattern=r"\w")
    matrix = expected.fit_transform(texts).toarray()
    rows = [(str(i), key, number) for i, text in enumerate(texts) for key, number in Counter(text.split()).items()]
    counts = pl.DataFrame(rows, schema=["unit", "key", "count"], orient="row")
    weights = tf_idf(counts, counts.group_by("key").agg(pl.len().alias("units")), len(texts))
    assert len(weights) == np.count_nonzero(matrix)
    for unit, key, weight in weights.select("unit", "key", "weight").iter_rows():
        assert weight == pytest.approx(matrix[int(unit), expected.vocabulary_[key]], abs=1e-12)


def test_top_terms_are_the_heaviest_in_the_order_of_the_documents():
    weights = pl.DataFrame({"unit": ["b", "b", "b", "a"], "key": ["x", "y", "z", "x"], "weight": [0.2, 0.9, 0.2, 1.0]})
    assert top_terms(weights, 2).select("unit", "key").rows() == [("b", "y"), ("b", "x"), ("a", "x")]


@given(st.lists(st.sampled_from("abcd"), max_size=30), st.integers(1, 12))
def test_moving_types_visits_every_window(letters: list[str], window: int):
    windows = [letters[i : i + window] for i in range(len(letters) - window + 1)]
    ours = moving_types(pl.Series(letters, dtype=pl.String), window)
    assert (ours.types, ours.windows) == (sum(len(set(part)) for part in windows), len(windows))
    if windows:
        assert ours.ratio() == pytest.approx(np.mean([len(set(part)) / window for part in windows]))


def test_zipf_exponent_of_a_law_is_its_exponent():
    counts = np.round(1e7 * np.arange(1, 5001) ** -1.2)
    assert zipf_exponent(counts) == pytest.approx(1.2, abs=0.01)
    assert zipf_exponent(np.array([5, 1, 1])) is None


@given(st.lists(st.lists(st.integers(0, 40), max_size=60), max_size=8), st.integers(4, 30))
def test_a_tally_is_too_low_by_no_more_than_it_says(batches: list[list[int]], most: int):
    tally = Tally(most)
    true: Counter[str] = Counter()
    for batch in batches:
        counts = Counter(map(str, batch))
        true.update(counts)
        tally.add(
            pl.DataFrame({"key": list(counts), "count": list(counts.values())}, {"key": pl.String, "count": pl.Int64})
        )
    held = dict(tally.table().iter_rows())
    assert len(held) <= most
    assert all(0 <= number - held.get(key, 0) <= tally.missing for key, number in true.items())


def test_impossible_settings_are_refused():
    with pytest.raises(TextError, match="1 to 9"):
        FeatureSettings(ngrams=0)
