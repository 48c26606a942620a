"""CTC: search against all paths written out, fusion against rescoring of all texts, alignment against all paths."""

from itertools import product

import numpy as np
import pytest

from inkstone.inference import ctc_search
from inkstone.inference.ctc_alignment import align
from inkstone.inference.ctc_search import greedy, prefix_beam_search
from inkstone.inference.language_fusion import LEAST_KEPT, LanguageFusion
from inkstone.inference.sampling import SamplingError
from inkstone.models import family
from inkstone.text.spoken import words_of
from inkstone.tokens.learning import learn_tokenizer

EXACT = {"unlikely": -np.inf, "most_tokens": 99}


def frames(t, v, seed, sharpness=1.0):
    scores = sharpness * np.random.default_rng(seed).normal(size=(t, v))
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def text_of(path, blank):
    kept = [token for at, token in enumerate(path) if at == 0 or token != path[at - 1]]
    return tuple(token for token in kept if token != blank)


def by_all_paths(scores, blank):
    """log p of each text, and its best path with log p, over every path that there is."""
    totals, best = {}, {}
    for path in product(range(scores.shape[1]), repeat=len(scores)):
        chance = sum(scores[t, token] for t, token in enumerate(path))
        text = text_of(path, blank)
        totals[text] = np.logaddexp(totals.get(text, -np.inf), chance)
        best[text] = max(best.get(text, (-np.inf, None)), (chance, path))
    return totals, best


@pytest.mark.parametrize("seed", range(6))
def test_search_without_bounds_adds_up_all_paths(seed):
    blank, scores = seed % 3, frames(5, 3, seed)
    totals, _ = by_all_paths(scores, blank)
    found = prefix_beam_search(scores, blank, 10_000, **EXACT)
    assert {heard.ids for heard in found} == set(totals)
    assert all(heard.log_chance == pytest.approx(totals[heard.ids]) for heard in found)
    assert found[0].ids == max(totals, key=totals.get)
    assert [heard.score for heard in found] == sorted((heard.score for heard in found), reverse=True)


@pytest.mark.parametrize("seed", range(6))
def test_greedy_is_the_likeliest_path(seed):
    scores = frames(5, 3, seed)
    path = max(product(range(3), repeat=5), key=lambda p: sum(scores[t, x] for t, x in enumerate(p)))
    assert greedy(scores, 0).ids == text_of(path, 0)
    assert greedy(scores[:0], 0).ids == () and prefix_beam_search(scores[:0], 0, 4)[0].ids == ()


def test_a_text_of_many_paths_is_found_though_the_likeliest_path_spells_another():
    scores = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))  # blank, a: no path of "a" is likelier than two blanks
    assert greedy(scores, 0).ids == () and prefix_beam_search(scores, 0, 4, **EXACT)[0].ids == (1,)
    with pytest.raises(SamplingError, match="beams"):
        prefix_beam_search(scores, 0, 0)


@pytest.mark.parametrize("seed", range(6))
def test_alignment_is_the_best_of_all_paths_that_spell_the_text(seed):
    scores = frames(6, 3, seed)
    _, best = by_all_paths(scores, 0)
    for text, (chance, path) in best.items():
        spans, total = align(scores, text, 0)
        assert total == pytest.approx(chance)
        told = [0] * 6
        for token, (first, end) in zip(text, spans, strict=True):
            assert first < end
            told[first:end] = [token] * (end - first)
        assert tuple(told) == path
    assert align(scores, (1, 1, 1, 1), 0) is None and align(scores, (), 0)[0].shape == (0, 2)


def test_a_text_of_more_than_sixty_tokens_is_aligned():
    tokens = [1, 2] * 50
    scores = np.log(np.full((len(tokens), 3), 0.1))
    scores[np.arange(len(tokens)), tokens] = np.log(0.8)
    spans, total = align(scores, tokens, 0)
    assert spans.tolist() == [[t, t + 1] for t in range(len(tokens))] and total == pytest.approx(100 * np.log(0.8))


@pytest.fixture(scope="module")
def language():
    """An n-gram model of lines, in tokens of its own, and the characters that are heard."""
    lines = ["ab ba ab", "ba ab ba", "ab ba", "墨 ab"] * 5
    heard = learn_tokenizer(lines, "character", 300)
    own = learn_tokenizer(lines, "byte-bpe", 262)
    kind = family("ngram")
    model = kind(kind.Settings(vocab_size=own.vocab_size, order=3), own)
    model.fit([np.array(own.encode(line)) for line in lines])
    return model, heard


def test_the_model_is_asked_about_whole_words_and_their_chain_is_the_text(language):
    model, _ = language
    for text in ("ab ba", "ba ba ab", "墨ab"):
        fusion = LanguageFusion(model, 0.5, 0.25)
        words = words_of(text)
        ids = [i for word in words for i in model.tokenizer.encode(word)]
        expected = -sum(model.token_nats([np.array(ids)])[0])
        assert fusion.log_chance(words, ended=True) == pytest.approx(expected, abs=1e-4)
        assert fusion.worth(words) == pytest.approx(0.5 * fusion.log_chance(words) + 0.25 * len(words))


def test_a_text_of_any_length_is_asked_about(language):
    """As that of a long recording, which has more words than functions may call one another."""
    model, _ = language
    fusion = LanguageFusion(model, most=10**9)
    words = words_of("ab ba " * 550)
    assert fusion.log_chance(words) == fusion.known[words].log_chance < fusion.log_chance(words[:-1]) < 0
    assert len(fusion.known) == len(words) + 1


def test_of_long_texts_few_states_are_kept_and_what_was_forgotten_is_read_again(language):
    model, _ = language
    fusion, words = LanguageFusion(model, most=500), words_of("ab ba " * 100)
    whole = LanguageFusion(model, most=10**9)
    for end in range(1, len(words) + 1):
        assert fusion.log_chance(words[:end]) == whole.log_chance(words[:end])
    assert len(fusion.known) <= 2 * LEAST_KEPT < len(whole.known)
    assert fusion.log_chance(words[:3]) == whole.log_chance(words[:3])  # which is forgotten by now


def test_beginnings_that_nothing_goes_on_from_are_let_go_of_and_nothing_is_found_otherwise(monkeypatch):
    scores, sweep, left = frames(200, 12, 0, 2.0), ctc_search._sweep, []

    def swept(live):
        sweep(live)
        at = next(iter(live))
        while at.before is not None:
            at = at.before
        below, found = [at], 0
        while below:
            found += 1
            below += below.pop().following.values()
        left.append((found, sum(len(prefix.ids()) + 1 for prefix in live)))

    whole = prefix_beam_search(scores[:60], 0, 4)
    monkeypatch.setattr(ctc_search, "_sweep", swept)
    monkeypatch.setattr(ctc_search, "SWEPT", 4)
    assert prefix_beam_search(scores[:60], 0, 4) == whole  # no sweep came there before
    assert len(left) == 15 and all(found <= most for found, most in left)


def test_fused_search_finds_what_rescoring_all_texts_finds(language):
    model, heard = language
    letters = [heard.encode(letter)[0] for letter in ("a", "b", " ")]
    for seed in range(4):
        few = frames(5, 4, seed, 2.0)  # blank, a, b, a blank between words
        scores = np.full((5, heard.vocab_size), -np.inf)
        scores[:, [heard.end, *letters]] = few
        fusion = LanguageFusion(model, 0.8, 0.5)
        totals, _ = by_all_paths(few, 0)
        names = dict(enumerate(letters, 1))

        def worth(text, totals=totals, names=names, fusion=fusion):
            words = words_of(heard.decode([names[token] for token in text]).lstrip())
            words = words[:-1] if words and not words[-1].strip() else words
            return totals[text] + 0.8 * fusion.log_chance(words, ended=True) + 0.5 * len(words)

        best = max(totals, key=worth)
        found = prefix_beam_search(scores, heard.end, 10_000, tokenizer=heard, fusion=fusion, **EXACT)
        assert found[0].ids == tuple(names[token] for token in best)
        assert found[0].score == pytest.approx(worth(best), abs=1e-4)


def test_a_decoder_listens_in_as_well():
    tokenizer = learn_tokenizer(["ab ba ab"], "byte-bpe", 262)
    kind = family("decoder")
    import torch

    settings = kind.Settings.of_size(tokenizer.vocab_size, 32, 1, context=8)
    model = kind(settings, tokenizer).initialise(torch.Generator().manual_seed(0)).eval()
    fusion, words = LanguageFusion(model, lines=True), words_of("ab ba")
    whole = [tokenizer.end, *tokenizer.encode("\n"), *(i for word in words for i in tokenizer.encode(word))]
    with torch.no_grad():
        scores = model(torch.tensor([whole])).log_softmax(-1)[0]
    begin = 1 + len(tokenizer.encode("\n"))
    expected = sum(float(scores[at - 1, whole[at]]) for at in range(begin, len(whole)))
    assert fusion.log_chance(words) == pytest.approx(expected, abs=1e-4)
    ended = float(scores[-1, tokenizer.encode("\n")[0]])
    assert fusion.log_chance(words, ended=True) == pytest.approx(expected + ended, abs=1e-4)
    assert np.isfinite(fusion.log_chance(words_of("ab " * 30)))  # longer than the context
