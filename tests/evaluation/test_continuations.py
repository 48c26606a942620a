"""Scores of continuations against brute force over `step`, for every family and every way there is."""

import numpy as np
import pytest
import torch

from inkstone.errors import TextError
from inkstone.evaluation import continuations
from inkstone.evaluation.continuations import continuation_scores
from inkstone.models import FAMILIES
from inkstone.models.base import NextTokenModel
from models.test_contract import MODELS

from .oracles import ByteTokenizer, CountsContext, SecondOrder

ONE_EACH = {family: variants[name] for family, variants in MODELS.items() for name in list(variants)[:1]}


def brute_force(model, context, continuation) -> tuple[float, bool]:
    """The whole text by itself in one step, of which the continuation's tokens are picked out."""
    with torch.no_grad():
        scores = model.step(torch.tensor([[*context, *continuation]]), model.start(1))[0][0]
    nats, greedy = 0.0, True
    for place, wanted in enumerate(continuation, start=len(context) - 1):
        nats -= float(scores[place, wanted])
        greedy &= int(scores[place].argmax()) == wanted
    return nats, greedy


def some_pairs(seed: int = 0) -> list[tuple[list[int], list[int]]]:
    """Contexts of several lengths; some are shared, some begin others, some continuations are said twice."""
    draw = np.random.default_rng(seed)

    def ids(n: int) -> list[int]:
        return draw.integers(4, 40, size=n).tolist()

    pairs = []
    for length in (1, 2, 5, 9, 9):
        context = ids(length)
        pairs += [(context, ids(n)) for n in (1, 3, 2, 6)]
    pairs += [(ids(9), ids(4)), (ids(3), ids(1)), (pairs[0][0], pairs[0][1]), (pairs[-1][0][:4], ids(5))]
    return [pairs[i] for i in draw.permutation(len(pairs))]


def test_every_family_is_tested_here():
    assert ONE_EACH.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", ONE_EACH)
@pytest.mark.parametrize("pass_tokens", [4096, 20])
def test_every_family_scores_as_brute_force_has_it(family, pass_tokens):
    model, pairs = ONE_EACH[family](), some_pairs()
    # The likeliest token after each context, so that greedy decoding is met at least sometimes.
    for context, continuation in pairs[::3]:
        with torch.no_grad():
            continuation[:] = [int(model.step(torch.tensor([context]), model.start(1))[0][0, -1].argmax())]
    expected = [brute_force(model, *pair) for pair in pairs]
    reported = []
    found = continuation_scores(model, pairs, window=16, pass_tokens=pass_tokens, report=reported.append)
    assert [score.nats for score in found] == pytest.approx([nats for nats, _ in expected], rel=1e-4)
    assert [score.greedy for score in found] == [greedy for _, greedy in expected]
    assert any(score.greedy for score in found) and not all(score.greedy for score in found)
    assert sum(reported) == len(pairs)


@pytest.mark.parametrize("worth", [0, 2, 100])
def test_rows_and_shared_contexts_are_the_same_to_a_decoder(monkeypatch, worth):
    model, pairs = ONE_EACH["decoder"](), some_pairs()
    expected = [brute_force(model, *pair) for pair in pairs]
    monkeypatch.setattr(continuations, "WORTH_SHARING", worth)
    for window in (None, 16):
        found = continuation_scores(model, pairs, window=window)
        assert [score.nats for score in found] == pytest.approx([nats for nats, _ in expected], rel=1e-4)
        assert [score.greedy for score in found] == [greedy for _, greedy in expected]


def test_a_shared_context_is_read_once():
    model = ONE_EACH["decoder"]()
    read: list[int] = []
    step = model.step
    model.step = lambda ids, state, last=False: read.append(ids.numel()) or step(ids, state, last)
    context = list(range(4, 34))
    continuation_scores(model, [(context, [5, 6, 7]) for _ in range(20)], window=64)
    assert sum(read) == 30 + 20 * 2  # the last token of each is foreseen, not read


def test_logits_in_small_pieces_change_nothing(monkeypatch):
    for family in ("decoder", "recurrent"):
        model, pairs = ONE_EACH[family](), some_pairs(1)
        window = 16 if family == "decoder" else None
        expected = continuation_scores(model, pairs, window=window)
        with monkeypatch.context() as patch:
            patch.setattr(continuations, "LOGITS_AT_ONCE", 85)  # two rows of 40 logits
            found = continuation_scores(model, pairs, window=window)
        assert [score.nats for score in found] == pytest.approx([score.nats for score in expected], rel=1e-5)
        assert [score.greedy for score in found] == [score.greedy for score in expected]


def test_a_counted_model_reads_through_to_the_same_figures(monkeypatch):
    model = ONE_EACH["ngram"]()
    pairs = [([model.tokenizer.end, *context], continuation) for context, continuation in some_pairs()]
    expected = continuation_scores(model, pairs, window=None)
    monkeypatch.setattr(type(model), "step", None)
    found = continuation_scores(model, pairs, window=None, greedy=False)
    assert [score.nats for score in found] == pytest.approx([score.nats for score in expected], rel=1e-5)
    assert {score.greedy for score in found} == {None}


def test_contexts_lose_their_beginning_where_the_window_is_short():
    """As lm_eval cuts: the last `window` tokens of what is read."""
    model = ONE_EACH["decoder"]()
    context, continuation = list(range(4, 24)), [7, 8, 9]
    cut = brute_force(model, context[-(8 + 1 - 3) :], continuation)
    whole = brute_force(model, context, continuation)
    assert cut[0] != pytest.approx(whole[0], rel=1e-4)
    assert continuation_scores(model, [(context, continuation)], window=8)[0].nats == pytest.approx(cut[0], rel=1e-4)
    assert continuation_scores(model, [(context, continuation)], window=22)[0].nats == pytest.approx(whole[0], rel=1e-4)


def test_a_continuation_longer_than_the_window_slides_through():
    """The nats of this model tell how many tokens it saw: half a window or more before each, and never more than a window."""
    model = CountsContext(ByteTokenizer())
    assert isinstance(model, NextTokenModel)
    (found,) = continuation_scores(model, [([256, 1], [1] * 50)], window=8)
    assert max(seen.shape[1] for seen in model.seen) <= 8
    assert sum(model.nats(5, target=1) for _ in range(48)) <= found.nats
    assert found.nats <= sum(model.nats(8, target=1) for _ in range(50))


def test_a_state_is_carried_from_the_context_on():
    model = SecondOrder(ByteTokenizer())
    context, continuation = [256, 97, 98, 99], [100, 101, 102]
    expected = model.nats([97, 98, 99, 100, 101, 102])[3:6].sum()
    for pairs in ([(context, continuation)], [(context, continuation), (context, [1]), ([256], [5, 6])]):
        assert continuation_scores(model, pairs, window=None)[0].nats == pytest.approx(expected, rel=1e-5)


def test_training_mode_is_given_back():
    model = ONE_EACH["decoder"]().train()
    continuation_scores(model, [([4], [5])], window=8)
    assert model.training


@pytest.mark.parametrize(("pair", "side"), [(([], [1]), "context"), (([1], []), "continuation")])
def test_an_empty_side_is_named(pair, side):
    with pytest.raises(TextError, match=f"pair 1 has an empty {side}"):
        continuation_scores(ONE_EACH["decoder"](), [([4], [5]), pair], window=8)


def test_no_pairs_are_no_scores():
    assert continuation_scores(ONE_EACH["decoder"](), [], window=8) == []
