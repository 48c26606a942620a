"""Attention against F.scaled_dot_product_attention in double precision, and its derivatives against differences."""

import pytest
import torch
import torch.nn.functional as F

from inkstone.layers import attention as module
from inkstone.layers.attention import attention, attention_weights, inside_documents, same_document


def tensors(b: int, h: int, g: int, t: int, s: int, d: int = 6, dtype=torch.float64):
    generator = torch.Generator().manual_seed(b * 1000 + h * 100 + t * 10 + s)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return draw(b, h, t, d), draw(b, g, s, d), draw(b, g, s, d)


def reference(q, k, v, visible=None):
    h, g, t, s = q.shape[1], k.shape[1], q.shape[2], k.shape[2]
    k, v = k.repeat_interleave(h // g, dim=1), v.repeat_interleave(h // g, dim=1)
    if visible is None:
        mask = torch.arange(s)[None, :] <= torch.arange(s - t, s)[:, None]
    else:
        mask = visible[:, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


@pytest.fixture(params=["plain", "fused", "halves"])
def path(request, monkeypatch):
    """Each of the ways in which attention is computed, at sizes that a test can afford."""
    if request.param == "fused":
        monkeypatch.setattr(module, "LONGEST_PLAIN", 0)
    if request.param == "halves":
        monkeypatch.setattr(module, "SHORTEST_HALF", 2)


@pytest.mark.parametrize(("h", "g"), [(1, 1), (4, 4), (4, 2), (6, 1)])
@pytest.mark.parametrize(("t", "s"), [(1, 1), (5, 5), (8, 8), (16, 16), (1, 7), (3, 7), (4, 8)])
def test_causal_and_cached(h, g, t, s, path):
    q, k, v = tensors(2, h, g, t, s)
    torch.testing.assert_close(attention(q, k, v), reference(q, k, v))


@pytest.mark.parametrize(("h", "g"), [(2, 2), (4, 2), (4, 1)])
@pytest.mark.parametrize("t", [5, 8, 16])
def test_inside_documents(h, g, t, path):
    q, k, v = tensors(3, h, g, t, t)
    document = torch.randint(0, 2, (3, t), generator=torch.Generator().manual_seed(t)).cumsum(1)
    visible = inside_documents(document)
    torch.testing.assert_close(attention(q, k, v, visible), reference(q, k, v, visible))


@pytest.mark.parametrize(("h", "g"), [(2, 2), (4, 1)])
@pytest.mark.parametrize(("t", "s"), [(1, 1), (5, 5), (8, 8), (16, 16), (1, 7), (4, 8), (8, 3)])
def test_in_both_directions(h, g, t, s, path):
    q, k, v = tensors(3, h, g, t, s)
    everything = torch.ones(3, t, s, dtype=torch.bool)
    torch.testing.assert_close(attention(q, k, v, causal=False), reference(q, k, v, everything))
    generator = torch.Generator().manual_seed(t)
    keys = torch.randint(0, 2, (3, s), generator=generator)
    queries = keys[torch.arange(3)[:, None], torch.randint(0, s, (3, t), generator=generator)]
    visible = same_document(queries, keys)
    torch.testing.assert_close(attention(q, k, v, visible, causal=False), reference(q, k, v, visible))


def test_padding_sees_padding_and_nothing_else():
    visible = same_document(torch.tensor([[0, 1, -1]]), torch.tensor([[1, 0, -1, -1]]))[0]
    assert visible.int().tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]]


def test_which_keys_a_query_sees():
    visible = inside_documents(torch.tensor([[0, 0, 1, 1]]))[0]
    assert visible.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]


@pytest.mark.parametrize("length", [256, 640])
def test_at_the_sizes_of_training(length):
    """The limits as they stand: halves below LONGEST_PLAIN, the fused kernel above."""
    q, k, v = tensors(1, 2, 1, length, length, dtype=torch.float32)
    document = (torch.arange(length)[None] >= length // 3).long()
    for visible in (None, inside_documents(document)):
        torch.testing.assert_close(attention(q, k, v, visible), reference(q, k, v, visible), rtol=1e-4, atol=1e-5)


def test_in_bfloat16():
    q, k, v = tensors(2, 4, 2, 12, 12, dtype=torch.bfloat16)
    expected = reference(q.double(), k.double(), v.double())
    torch.testing.assert_close(attention(q, k, v).double(), expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("t", [4, 8])
def test_derivatives(t, path):
    q, k, v = (x.requires_grad_() for x in tensors(1, 2, 1, t, t, d=2))
    assert torch.autograd.gradcheck(attention, (q, k, v))
    visible = inside_documents(torch.tensor([[0] * (t // 2) + [1] * (t - t // 2)]))
    assert torch.autograd.gradcheck(lambda q, k, v: attention(q, k, v, visible), (q, k, v))


@pytest.mark.parametrize(("h", "g"), [(1, 1), (4, 2)])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_the_weights_are_those_that_attention_mixes_values_with(h, g, causal, masked):
    q, k, v = tensors(2, h, g, 6, 6)
    document = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]])
    visible = None
    if masked:
        visible = inside_documents(document) if causal else same_document(document, document)
    weights = attention_weights(q, k, visible, causal)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, h, 6, dtype=q.dtype))
    torch.testing.assert_close(weights @ v.repeat_interleave(h // g, dim=1), attention(q, k, v, visible, causal))


def test_the_weights_of_a_query_behind_a_cache():
    q, k, v = tensors(2, 4, 2, 2, 7)
    torch.testing.assert_close(attention_weights(q, k) @ v.repeat_interleave(2, dim=1), attention(q, k, v))
