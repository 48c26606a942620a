"""The n-gram model against the published formulas, written out word by word with dictionaries."""

import lzma
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from inkstone.errors import RecipeError, TextError
from inkstone.hub.arpa import word_tokenizer
from inkstone.models.ngram import NGram, NGramSettings
from inkstone.models.ngram_counts import count_ngrams, find, stream_of
from inkstone.models.ngram_smoothing import FALLBACK, discounts
from inkstone.tokens.learning import learn_tokenizer

ONE_TOKEN = learn_tokenizer(iter(["ink on stone, 墨 on 砚"] * 20), "byte-bpe", 280)  # begin and end are one token
V = 12


def two_tokens(vocab_size: int = V):
    """Words, with <s> = 0 and </s> = 1."""
    return word_tokenizer(["<s>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvw"][:vocab_size])


def some_documents(seed: int = 0, n: int = 60, longest: int = 12) -> list[np.ndarray]:
    """Skewed, so that counts of 1, 2, 3 and 4 all come; some documents are empty."""
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, V - 1)
    return [random.choice(np.arange(2, V), random.integers(0, longest), p=weights / weights.sum()) for _ in range(n)]


def fitted(documents, tokenizer=None, **settings) -> NGram:
    model = NGram(NGramSettings(V, **settings), tokenizer or two_tokens())
    model.fit(documents)
    return model


class Oracle:
    """Counts in dictionaries; the formulas as they are printed."""

    def __init__(self, documents, order: int, min_count: int = 1):
        self.order, self.min_count = order, min_count
        self.count: Counter = Counter()
        before = defaultdict(set)
        for document in documents:
            tokens = ("<s>", *map(int, document), 1)
            for end in range(1, len(tokens)):
                for n in range(1, min(order, end + 1) + 1):
                    gram = tokens[end - n + 1 : end + 1]
                    self.count[gram] += 1
                    if end - n >= 0:
                        before[gram].add(tokens[end - n])
        self.adjusted = {
            gram: count if len(gram) == order or gram[0] == "<s>" else len(before[gram])
            for gram, count in self.count.items()
        }
        self.after = defaultdict(set)
        for gram in self.count:
            self.after[gram[:-1]].add(gram[-1])

    def kept(self, gram) -> bool:
        return self.count[gram] >= (self.min_count if len(gram) > 2 else 1)

    def discount(self, gram) -> float:
        t = Counter(a for g, a in self.adjusted.items() if len(g) == len(gram))
        a = self.adjusted[gram]
        if not all(t[k] for k in (1, 2, 3, 4)):
            return FALLBACK[min(a, 3) - 1]
        y = t[1] / (t[1] + 2 * t[2])
        fit = [k - (k + 1) * y * t[k + 1] / t[k] for k in (1, 2, 3)]
        return (fit if all(0 < d <= k for k, d in enumerate(fit, 1)) else FALLBACK)[min(a, 3) - 1]

    def kneser_ney(self, word, context) -> float:
        shorter = 1 / (V - 1) if not context else self.kneser_ney(word, context[1:])
        seen = self.after.get(context, set())
        if not any(True for _ in seen):
            return shorter
        total = sum(self.adjusted[(*context, w)] for w in seen)
        gamma = sum(
            self.discount((*context, w)) if self.kept((*context, w)) else self.adjusted[(*context, w)] for w in seen
        )
        gram = (*context, word)
        own = self.adjusted[gram] - self.discount(gram) if word in seen and self.kept(gram) else 0.0
        return own / total + gamma / total * shorter

    def add_k(self, word, context, k) -> float:
        seen = self.after.get(context, set())
        if context and not seen:
            return self.add_k(word, context[1:], k)
        total = sum(self.count[(*context, w)] for w in seen)
        return (self.count[(*context, word)] + k) / (total + k * (V - 1))

    def stupid(self, word, context, factor) -> float:
        """Not a distribution, as published; below the single words lies the uniform one."""
        seen = self.after.get(context, set())
        lower = 1 / (V - 1) if not context else self.stupid(word, context[1:], factor)
        if word in seen:
            return self.count[(*context, word)] / sum(self.count[(*context, w)] for w in seen)
        return factor * lower


@pytest.fixture
def texts():
    return some_documents(), ["<s>", 3, 2, 5, 2, 2, 4, 11, 10, 3, 2]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "smoothing", ["kneser-ney", "kneser-ney pruned", "add-k", "stupid-backoff"]
)  # what the page of each formula says
def test_every_distribution_is_that_of_the_formula(texts, order, smoothing):
    documents, text = texts
    name, pruned = smoothing.partition(" ")[0], "pruned" in smoothing
    model = fitted(documents, order=order, smoothing=name, k=0.3, min_count=2 if pruned else 1)
    oracle = Oracle(documents, order, 2 if pruned else 1)
    ids = torch.tensor([[0, *text[1:]]])
    given, _ = model.step(ids, model.start(1))
    for at in range(len(text)):
        context = tuple(text[max(0, at - order + 2) : at + 1]) if order > 1 else ()
        if name == "kneser-ney":
            expected = [oracle.kneser_ney(w, context) for w in range(V)]
        elif name == "add-k":
            expected = [oracle.add_k(w, context, 0.3) for w in range(V)]
        else:
            expected = [oracle.stupid(w, context, 0.4) for w in range(V)]
        expected = np.array(expected)
        expected[0] = 0.0  # <s> is never predicted
        if name == "stupid-backoff":
            expected /= expected.sum()
        assert expected.sum() == pytest.approx(1)
        np.testing.assert_allclose(given[0, at].exp().numpy(), expected, rtol=2e-5, atol=1e-9)


def test_lower_orders_use_continuation_counts():
    """'Francisco' comes often but after one word only: the unigram that Kneser–Ney backs off to must be small."""
    san, francisco, a, b = 3, 4, 5, 6
    documents = [np.array([san, francisco])] * 20 + [np.array([x, y]) for x in (7, 8, 9, 10) for y in (a, b)]
    model = fitted(documents, order=2)
    unigram = model.tables[0].log_probability
    assert unigram[francisco] < unigram[a]


def test_the_discounts_are_those_of_the_paper():
    adjusted = np.repeat([1, 2, 3, 4, 7], [100, 40, 20, 12, 30])
    y = 100 / (100 + 2 * 40)
    assert discounts(adjusted) == pytest.approx((1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 12 / 20))
    assert discounts(np.array([1, 1, 2])) == FALLBACK


@given(
    st.lists(st.lists(st.integers(2, V - 1), max_size=8), min_size=1, max_size=12),
    st.integers(1, 5),
    st.sampled_from(["kneser-ney", "add-k", "stupid-backoff"]),
    st.integers(1, 3),
    st.booleans(),
)
@settings(max_examples=60)
def test_it_sums_to_one_and_scores_as_it_steps(documents, order, smoothing, min_count, one_token):
    documents = [np.array(document, dtype=np.uint16) for document in documents]
    size = 280 if one_token else V
    tokenizer = ONE_TOKEN if one_token else two_tokens()
    model = NGram(NGramSettings(size, order, smoothing, min_count=min_count), tokenizer)
    model.fit(documents)
    held = [*documents[:3], np.array([5, 5, 5, 2, 3]), np.array([], dtype=np.int64)]
    nats = model.score_documents(held)
    for document, score in zip(held, nats, strict=True):
        given, _ = model.step(torch.tensor([[model.begin, *document.tolist()]]), model.start(1))
        torch.testing.assert_close(given.exp().sum(-1), torch.ones(given.shape[:2]), rtol=1e-4, atol=1e-4)
        targets = torch.tensor([[*document.tolist(), model.end]])
        assert -given.gather(2, targets[..., None]).sum().item() == pytest.approx(score, rel=1e-4)


def test_what_stands_before_a_document_does_not_count():
    model = fitted(some_documents(), order=4)
    end, begin = model.end, model.begin
    for before in ([3, 2, end], [2, 5, 2, begin]):
        first, _ = model.step(torch.tensor([[*before, begin, 3, 2]]), model.start(1))
        alone, _ = model.step(torch.tensor([[begin, 3, 2]]), model.start(1))
        torch.testing.assert_close(first[:, -3:], alone)


def test_counting_in_blocks_is_counting_at_once():
    stream = stream_of(some_documents(), 0, 1)
    for whole, parts in zip(count_ngrams(stream, 4, V, 0, 1), count_ngrams(stream, 4, V, 0, 1, block=37), strict=True):
        for name in ("keys", "suffix", "count", "opens"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_scoring_in_pieces_is_scoring_at_once(monkeypatch):
    model, documents = fitted(some_documents(), order=4), some_documents(1)
    whole = model.score_documents(documents)
    monkeypatch.setattr("inkstone.models.ngram.SCORED_AT_ONCE", 7)
    np.testing.assert_allclose(model.score_documents(documents), whole, rtol=1e-12)


def test_pruning_leaves_less_and_what_is_left_hangs_together():
    whole, pruned = (fitted(some_documents(n=400), order=4, min_count=least) for least in (1, 3))
    sizes = [[len(table.keys) for table in model.tables] for model in (whole, pruned)]
    assert sizes[0][:2] == sizes[1][:2] and all(a > b > 0 for a, b in zip(sizes[0][2:], sizes[1][2:], strict=True))
    for below, table in zip(pruned.tables, pruned.tables[1:], strict=False):
        assert len(below.log_backoff) == len(below.keys)
        assert (table.keys // V).max() < len(below.keys) and (np.diff(table.keys) > 0).all()


def test_it_comes_back_from_its_tensors_without_a_copy():
    model = fitted(some_documents(), order=3)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    again = NGram.from_tensors(model.settings, model.tokenizer, tensors)
    assert again.state_dict().keys() == tensors.keys()
    assert all(again.state_dict()[name].data_ptr() == tensor.data_ptr() for name, tensor in tensors.items())
    documents = some_documents(2)
    np.testing.assert_array_equal(again.score_documents(documents), model.score_documents(documents))
    assert again.n_parameters() == sum(len(t.log_probability) + len(t.log_backoff) for t in model.tables)


def test_it_counts_where_the_tokens_of_others_are_found():
    keys = np.array([2, 5, 9])
    np.testing.assert_array_equal(find(keys, np.array([9, 0, 5, 10, 2])), [2, -1, 1, -1, 0])
    np.testing.assert_array_equal(find(keys[:0], np.array([9, 0])), [-1, -1])


def test_before_counting_all_is_alike():
    model = NGram(NGramSettings(V, 3), two_tokens())
    given, _ = model.step(torch.tensor([[0, 3]]), model.start(1))
    torch.testing.assert_close(given, torch.full((1, 2, V), -math.log(V)))


def test_the_unseen_token_is_possible():
    model = fitted([np.array([3, 4])] * 3, order=3)
    given, _ = model.step(torch.tensor([[0, 3]]), model.start(1))
    assert given[0, :, 1:].isfinite().all() and given[0, 0, 0] == -torch.inf


@pytest.mark.parametrize(
    "wrong", [{"order": 0}, {"smoothing": "laplace"}, {"k": 0.0}, {"backoff": 1.5}, {"min_count": 0}, {"vocab_size": 0}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        NGramSettings(**{"vocab_size": V, **wrong})


def test_settings_for_a_text_prune_only_a_large_one():
    assert NGramSettings.for_text(V, 1000).min_count == 1
    assert NGramSettings.for_text(V, 10**9).min_count == 2
    assert NGramSettings.for_text(V, 10**9, min_count=1, order=3) == NGramSettings(V, 3)


def test_ids_outside_the_vocabulary_are_refused():
    with pytest.raises(TextError, match="vocabulary has 12"):
        fitted([np.array([3, V])])


@pytest.mark.slow
@pytest.mark.data
def test_wikitext_2_valid(data_mirror):
    """Words, trigrams: the perplexity that lmplz of KenLM and its query give for the same text, <unk> renamed."""

    def lines(part: str) -> list[list[str]]:
        text = lzma.decompress((data_mirror / f"wikitext-2/{part}.txt.xz").read_bytes()).decode()
        return [line.replace("<unk>", "<UNK>").split() for line in text.split("\n")[:-1]]

    names = {"<s>": 0, "</s>": 1, "<unk>": 2}
    train = [np.array([names.setdefault(word, len(names)) for word in line], dtype=np.int64) for line in lines("train")]
    held = [np.array([names.get(word, 2) for word in line], dtype=np.int64) for line in lines("valid")]
    model = NGram(NGramSettings(len(names), 3), word_tokenizer(list(names)))
    model.fit(train)
    tokens = sum(len(document) + 1 for document in held)
    assert tokens == 217_646
    assert math.exp(model.score_documents(held).sum() / tokens) == pytest.approx(242.325, rel=1e-4)
