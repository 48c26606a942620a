"""EM against the enumeration of all alignments and against NLTK; links against plain loops."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.errors import RecipeError, TextError
from inkstone.models import alignment
from inkstone.models.alignment import Places, WordTranslation, bitext, fit

PAIRS = [
    (["das", "haus"], ["the", "house"]),
    (["das", "buch"], ["the", "book"]),
    (["ein", "buch"], ["a", "book"]),
    (["ja"], ["yes", "of", "course"]),
    (["das", "kleine", "haus"], ["the", "small", "house"]),
    ([], ["oh"]),
]


def enumerated(pairs, model: int, iterations: int):
    """EM by its definition: every alignment of every pair has a probability, and counts are expectations over them."""
    targets = {word for _, target in pairs for word in target}
    t = {(f, e): 1 / len(targets) for source, target in pairs for e in [None, *source] for f in target}
    a = {}
    likelihoods = []
    for stage in range(1, model + 1):
        for _ in range(iterations):
            counts, places, likelihood = dict.fromkeys(t, 0.0), {}, 0.0
            for source, target in pairs:
                words, m = [None, *source], len(target)
                ways = list(product(range(len(words)), repeat=m))
                chances = []
                for way in ways:
                    chance = 1.0
                    for j, i in enumerate(way):
                        uniform = 1 / len(words)
                        chance *= t[target[j], words[i]] * (
                            a.get((i, j, len(words), m), uniform) if stage == 2 else uniform
                        )
                    chances.append(chance)
                likelihood += np.log(sum(chances))
                for way, chance in zip(ways, chances, strict=True):
                    for j, i in enumerate(way):
                        counts[target[j], words[i]] += chance / sum(chances)
                        place = (i, j, len(words), m)
                        places[place] = places.get(place, 0.0) + chance / sum(chances)
            likelihoods.append(likelihood)
            totals = {}
            for (_, e), count in counts.items():
                totals[e] = totals.get(e, 0.0) + count
            t = {(f, e): count / totals[e] for (f, e), count in counts.items()}
            if stage == 2:
                sums = {}
                for (_, *rest), count in places.items():
                    sums[tuple(rest)] = sums.get(tuple(rest), 0.0) + count
                a = {place: count / sums[place[1:]] for place, count in places.items()}
    return t, a, likelihoods


@pytest.mark.parametrize("model", [1, 2])
def test_em_is_that_over_all_alignments(model, monkeypatch):
    t, a, likelihoods = enumerated(PAIRS, model, 3)
    for block in (4_000_000, 5):
        monkeypatch.setattr(alignment, "BLOCK_CELLS", block)
        learned = fit(bitext(PAIRS), model, 3)
        assert learned.log_likelihood == pytest.approx(likelihoods)
        for (f, e), probability in t.items():
            assert learned.probability(f, e) == pytest.approx(probability)
        if model == 2:
            places, position = learned.places, learned.position
            assert isinstance(places, Places) and position is not None
            assert len(a) == places.size
            for (i, j, width, m), probability in a.items():
                base = places.bases[np.searchsorted(places.lengths, (width - 1) << 32 | m)]
                assert position[base + j * width + i] == pytest.approx(probability)


@pytest.mark.parametrize("model", [1, 2])
def test_em_is_that_of_nltk(model):
    translate = pytest.importorskip("nltk.translate")
    pairs = [pair for pair in PAIRS if pair[0]]
    sentences = [translate.AlignedSent(target, source) for source, target in pairs]
    theirs = translate.IBMModel1(sentences, 4)
    if model == 2:
        tables = {"translation_table": theirs.translation_table, "alignment_table": None}
        tables["alignment_table"] = translate.IBMModel2(sentences, 0, None).alignment_table
        theirs = translate.IBMModel2(sentences, 4, tables)
    ours = fit(bitext(pairs), model, 4)
    for source, target in pairs:
        for f in target:
            for e in [None, *source]:
                assert ours.probability(f, e) == pytest.approx(theirs.translation_table[f][e], abs=1e-9)


SENTENCES = st.lists(st.sampled_from("abcde"), max_size=5)


@given(st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=8))
def test_likelihood_never_falls_and_tables_are_distributions(pairs):
    pairs = [*pairs, (["a"], ["b"])]
    learned = fit(bitext(pairs), 2, 4)
    assert np.diff(learned.log_likelihood).min() > -1e-9
    sources = learned.keys // len(learned.target_words)
    sums = np.bincount(sources, learned.translation)
    np.testing.assert_allclose(sums[np.unique(sources)], 1)
    assert learned.places is not None and learned.position is not None
    np.testing.assert_allclose(np.add.reduceat(learned.position, learned.places.row_starts), 1)


def best_by_loops(learned: WordTranslation, source, target) -> set[tuple[int, int]]:
    links = set()
    for j, f in enumerate(target):
        chances = []
        for i, e in enumerate([None, *source]):
            chance = learned.probability(f, e)
            places = learned.places
            if places is not None and learned.position is not None:
                length = len(source) << 32 | len(target)
                if length in places.lengths:
                    base = places.bases[np.searchsorted(places.lengths, length)]
                    chance *= learned.position[base + j * (len(source) + 1) + i]
            chances.append(chance)
        best = int(np.argmax(chances))
        if best and chances[best] > 0:
            links.add((best - 1, j))
    return links


@pytest.mark.parametrize("model", [1, 2])
@pytest.mark.parametrize("block", [4_000_000, 7])
def test_links_are_the_likeliest_of_each_target_word(model, block, monkeypatch):
    monkeypatch.setattr(alignment, "BLOCK_CELLS", block)
    learned = fit(bitext(PAIRS), model, 5)
    unseen = [
        (["das", "neue", "buch", "ja"], ["the", "new", "book"]),
        (["ja"], []),
        ([], ["of"]),
        (["haus"], ["house", "zzz"]),
    ]
    pairs = PAIRS + unseen
    found = learned.links(learned.encode(pairs))
    assert [set(map(tuple, links.tolist())) for links in found] == [best_by_loops(learned, *pair) for pair in pairs]


def test_the_textbook_example_is_learned():
    learned = fit(bitext(PAIRS[:3]), 1, 50)
    assert learned.translations("buch", 1)[0][0] == "book"
    assert learned.probability("book", "buch") > 0.99
    assert learned.translations("nothing") == [] and learned.probability("nothing", "buch") == 0


def test_turned_is_the_bitext_of_turned_pairs():
    pairs = [pair for pair in PAIRS if pair[0]]
    one, other = bitext(pairs).turned(), bitext([(target, source) for source, target in pairs])
    assert fit(one, 2, 3).log_likelihood == pytest.approx(fit(other, 2, 3).log_likelihood)
    assert one.source_words == other.source_words and (one.source == other.source).all()


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(TextError, match="source side"):
        bitext([([], ["a"])])
    with pytest.raises(RecipeError, match="1 and 2"):
        fit(bitext(PAIRS), 3)
    with pytest.raises(RecipeError, match="iteration"):
        fit(bitext(PAIRS), 1, 0)
