"""Figures of items against sums by hand over `step`, and against lm_eval's definitions where there are no ties."""

import numpy as np
import pytest
import torch

from inkstone.evaluation.suite_items import Item, item_of
from inkstone.evaluation.suite_scores import credit, encoded, score_items
from inkstone.models.ngram import NGram, NGramSettings
from inkstone.tokens.learning import learn_tokenizer
from models.test_contract import MODELS

from .oracles import ByteTokenizer, SecondOrder, Uniform
from .tiny_runs import byte_tokenizer, texts

WORDS = ["ink", "stone", "water", "墨", "dries", "a page"]


class WithBatches(ByteTokenizer):
    def encode_batch(self, texts):
        return [np.array(self.encode(text)) for text in texts]


def choices(n: int, seed: int = 0, options: int = 3) -> list[Item]:
    draw = np.random.default_rng(seed)

    def words(most: int) -> str:
        return " ".join(draw.choice(WORDS, size=draw.integers(1, most + 1)))

    items = []
    while len(items) < n:
        answers, gold = [words(5) for _ in range(options)], int(draw.integers(options))
        if len(set(answers)) == options:  # no ties, which lm_eval counts otherwise
            items.append(item_of({"query": words(4), "choices": answers, "gold": gold}))
    return items


def by_hand(model: SecondOrder, context: str, continuation: str) -> float:
    ids = [*(context + continuation).encode()]
    before = len(context.encode())
    return -float(model.nats(ids)[before : len(ids)].sum())


def test_choices_by_hand():
    model, items = SecondOrder(WithBatches(), seed=3), choices(300)
    likelihoods = [np.array([by_hand(model, *option) for option in item.options]) for item in items]
    acc, norm, per_byte = [], [], []
    for item, logs in zip(items, likelihoods, strict=True):
        acc.append(logs.argmax() == item.gold)
        norm.append((logs / [len(c) for c in item.choices]).argmax() == item.gold)
        per_byte.append((logs / [len(c.encode()) for c in item.choices]).argmax() == item.gold)
    figures = score_items(model, items, window=None)
    assert figures["acc"] == pytest.approx(np.mean(acc))
    assert figures["acc_norm"] == pytest.approx(np.mean(norm))
    assert figures["acc_bytes"] == pytest.approx(np.mean(per_byte))
    assert len({figures["acc"], figures["acc_norm"], figures["acc_bytes"]}) == 3
    assert figures["acc_low"] < figures["acc"] < figures["acc_high"]
    assert figures["chance"] == pytest.approx(1 / 3) and figures["items"] == 300


def test_pairs_and_contexts_by_hand():
    model = SecondOrder(WithBatches(), seed=1)
    pairs = [
        item_of({"sentence_good": good, "sentence_bad": bad})
        for good, bad in zip(texts(40, 1), texts(40, 2), strict=True)
    ]
    expected = [by_hand(model, "", item.choices[0]) > by_hand(model, "", item.choices[1]) for item in pairs]
    figures = score_items(model, pairs, window=None)
    assert figures["acc"] == pytest.approx(np.mean(expected)) and 0 < figures["acc"] < 1
    assert figures["chance"] == 0.5 and "acc_norm" not in figures and "paradigms" not in figures
    contexts = [
        item_of({"context_options": [a, b], "continuation": "dries fast.", "gold": 1})
        for a, b in zip(texts(40, 3), texts(40, 4), strict=True)
    ]
    expected = [by_hand(model, *item.options[1]) > by_hand(model, *item.options[0]) for item in contexts]
    figures = score_items(model, contexts, window=None)
    # The contexts end in one of few letters, so that some are level; each of these counts a half.
    level = [abs(by_hand(model, *i.options[1]) - by_hand(model, *i.options[0])) < 1e-4 for i in contexts]
    assert figures["acc"] == pytest.approx(np.mean(np.where(level, 0.5, expected)))


def test_the_last_word_by_hand():
    class Follows:
        """Says the next letter of the alphabet with probability 0.9."""

        tokenizer = WithBatches()

        def start(self, batch):
            return Uniform(self.tokenizer).start(batch)

        def step(self, ids, state, last=False):
            uniform, state = Uniform(self.tokenizer).step(ids, state, last)
            wanted = (ids[:, -1:] if last else ids) + 1
            share = torch.full(uniform.shape, 0.1 / 256).scatter(2, wanted[..., None], 0.9)
            return share.log(), state

    model = Follows()
    # After the "b" comes a blank that is not foreseen; inside the word each letter is, or is not.
    items = [item_of({"text": "\x1f bcd"}), item_of({"text": "\x1f bdf"})]
    spaced = item_of({"text": 'a\x1f !"#'})  # the blank after \x1f, "!" after the blank, and so on: all foreseen
    figures = score_items(model, [*items, spaced], window=None)
    assert figures["acc"] == pytest.approx(1 / 3)
    nats = [-np.log([0.9, 0.1 / 256, 0.9, 0.9]).sum(), -np.log([0.9, *[0.1 / 256] * 3]).sum(), -4 * np.log(0.9)]
    assert figures["perplexity"] == pytest.approx(np.exp(np.mean(nats)), rel=1e-5)
    assert figures["perplexity_low"] is None  # too few items for an interval


def test_a_model_that_knows_nothing_gets_what_a_guess_gets():
    model = Uniform(WithBatches())
    items = [
        item_of({"sentence_good": "abc", "sentence_bad": "bca"}),
        item_of({"sentence_good": "a", "sentence_bad": "b"}),
    ]
    assert score_items(model, items, window=None)["acc"] == 0.5
    three = [item_of({"query": "a", "choices": ["bb", "cc", "dd"], "gold": 2})]
    assert score_items(model, three, window=None)["acc"] == pytest.approx(1 / 3)
    assert credit(np.array([-30.0, -30.00001]), 1) == 0.5 and credit(np.array([-30.0, -30.001]), 1) == 0


def test_the_mean_is_over_paradigms_however_many_items_each_has():
    model = SecondOrder(WithBatches())
    goods, bads = texts(30, 5), texts(30, 6)
    names = ["rare"] * 3 + ["common"] * 27
    items = [
        item_of({"sentence_good": good, "sentence_bad": bad, "UID": name, "field": name[0]})
        for good, bad, name in zip(goods, bads, names, strict=True)
    ]
    figures = score_items(model, items, window=None)
    by_paradigm = {
        name: score_items(model, [i for i in items if i.paradigm == name], window=None)["acc"] for name in set(names)
    }
    assert figures["paradigms"] == pytest.approx(by_paradigm)
    assert figures["fields"] == pytest.approx({"c": by_paradigm["common"], "r": by_paradigm["rare"]})
    assert figures["acc"] == pytest.approx(np.mean(list(by_paradigm.values())))
    assert figures["acc"] != pytest.approx(
        score_items(model, [i.__class__(i.kind, i.options, i.choices, 0) for i in items], window=None)["acc"]
    )


def test_an_ngram_model_prefers_what_it_was_taught():
    """Counted from sentences where boys sleep and a boy sleeps, judged on new ones of the same grammar."""
    tokenizer = byte_tokenizer()
    learned = [f"the {n} {v}." for n, v in (("boy", "sleeps"), ("boys", "sleep"), ("cat", "eats"), ("cats", "eat"))] * 5
    learned += ["the boy sleeps."] * 5
    model = NGram(NGramSettings(tokenizer.vocab_size, order=9), tokenizer)
    model.fit(tokenizer.encode_batch(learned), None, torch.Generator(), lambda text: None)
    pairs = [
        item_of({"sentence_good": f"the {n}s {v}.", "sentence_bad": f"the {n} {v}."})
        for n, v in (("boy", "sleep"), ("cat", "eat"))
    ]
    assert score_items(model, pairs, window=None)["acc"] == 1
    query = [item_of({"query": "the cats", "choices": ["sleeps.", "eat.", "eats."], "gold": 1})] * 2
    assert score_items(model, query, window=None)["acc_norm"] == 1
    whose = [item_of({"context_options": ["the boys", "the boy"], "continuation": "sleeps.", "gold": 1})]
    assert score_items(model, whose, window=None)["acc"] == 1
    assert score_items(model, [item_of({"text": "the boy sleeps."})], window=None)["acc"] == 1
    assert score_items(model, [item_of({"text": "the boy eat."})], window=None)["acc"] == 0


@pytest.mark.parametrize("family", MODELS)
def test_every_family_has_figures(family):
    model = next(iter(MODELS[family].values()))()
    model.tokenizer = FewIds(model.tokenizer)
    items = choices(4, options=2)
    figures = score_items(model, items, window=16)
    assert 0 <= figures["acc"] <= 1 and "likelihood" not in figures
    pairs = [item_of({"sentence_good": "ink dries", "sentence_bad": "dries ink"})] * 2
    figures = score_items(model, pairs, window=16)
    assert figures.get("likelihood") == getattr(model, "likelihood", None)
    if family == "encoder":
        ids = model.tokenizer.encode_batch(list(pairs[0].choices))
        good, bad = model.document_nats(ids, None)
        assert figures["acc"] == (good < bad)


class FewIds:
    """The tokenizer of a model of the contract's tests, its ids folded into the vocabulary of these models."""

    def __init__(self, tokenizer):
        self.tokenizer, self.begin, self.end, self.vocab_size = tokenizer, [3], 3, 40

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)

    def encode_batch(self, texts):
        return [np.array([4 + i % 30 for i in self.tokenizer.encode(text)]) for text in texts]


def test_options_are_divided_where_their_context_ends():
    tokenizer = byte_tokenizer()
    items = [
        item_of({"query": "ab", "choices": ["cd", "e"], "gold": 0}),
        item_of({"sentence_good": "ab", "sentence_bad": "b"}),
    ]
    pairs = encoded(items, tokenizer)
    end = tokenizer.end
    assert [(len(c), tokenizer.decode(c), tokenizer.decode(d)) for c, d in pairs] == [
        (3, "ab", " cd"), (3, "ab", " e"), (1, "", "ab"), (1, "", "b")
    ]  # fmt: skip
    assert all(context[0] == end for context, _ in pairs)


def test_a_token_across_the_border_moves_it_for_all_options_alike():
    tokenizer = learn_tokenizer(iter(["天空天空蓝天空蓝天空蓝色 天空红"] * 40), "byte-bpe", 300)
    item = item_of({"query": "天空", "choices": ["蓝色", "红色"], "gold": 0})
    pairs = encoded([item], tokenizer)
    whole = [tokenizer.decode(context + continuation) for context, continuation in pairs]
    assert whole == ["天空蓝色", "天空红色"]
    assert pairs[0][0] == pairs[1][0]
    alone = tokenizer.encode("天空")
    assert tokenizer.encode("天空蓝色")[: len(alone)] != alone  # the border is crossed, else this test shows nothing


def test_without_a_beginning_of_its_own_a_sentence_follows_an_end():
    class Plain(WithBatches):
        begin = []  # noqa: RUF012

    (pair, _) = encoded([item_of({"sentence_good": "ab", "sentence_bad": "b"})], Plain())
    assert pair == ([256], [97, 98])
    (pair, _) = encoded([item_of({"query": "a", "choices": ["b", "c"], "gold": 0})], Plain())
    assert pair == ([97], [32, 98])
