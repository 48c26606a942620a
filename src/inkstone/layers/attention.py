"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1), with grouped queries (Ainslie et al. 2023).

    attention(Q, K, V) = softmax(Q Kᵀ / √d + mask) V,        d the width of one head

Several query heads may share one key/value head. The mask is 0 where a query may look and −∞ where it may not, and
stands inside the softmax, so that the weights over what may be seen sum to one.

A worked example: one head of width 4, three tokens, causal. The third query, (1, 1, 1, 1), meets keys whose products
with it are 0, 2 ln 2 and 2 ln 3. Divided by √4 these are 0, ln 2 and ln 3, hence the weights 1/6, 2/6 and 3/6 on the
values 3, 6 and 12. (The second query sees two keys, with the weights 1/3 and 2/3; the first only its own.)

>>> q = torch.ones(1, 1, 3, 4)
>>> k = torch.tensor([0.0, math.log(2) / 2, math.log(3) / 2]).view(1, 1, 3, 1).expand(1, 1, 3, 4)
>>> v = torch.tensor([3.0, 6.0, 12.0]).view(1, 1, 3, 1).expand(1, 1, 3, 4)
>>> attention(q, k, v)[0, 0, :, 0]
tensor([3.0000, 5.0000, 8.5000])

It is √(width of a head), not √(width of the model): the sum of d products of unit variance has variance d.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

# Above this many keys the fused kernel, which never holds all weights at once, is the faster one on a CPU.
LONGEST_PLAIN = 512
# Products of fewer rows than this gain nothing from being cut.
SHORTEST_HALF = 128


def inside_documents(document: Int[Tensor, "b t"]) -> Bool[Tensor, "b t t"]:
    """Which key (last axis) each query may see: none that comes later, none of another document."""
    length = document.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=document.device).tril()
    return (document[:, :, None] == document[:, None, :]) & causal


def same_document(query: Int[Tensor, "b t"], key: Int[Tensor, "b s"]) -> Bool[Tensor, "b t s"]:
    """Which key each query may see where order does not matter: all of its own document.

    Padding is a document of its own, −1 say: then padding sees padding, and no query is left without a key.
    """
    return query[:, :, None] == key[:, None, :]


def attention(
    q: Float[Tensor, "b h t d"],
    k: Float[Tensor, "b g s d"],
    v: Float[Tensor, "b g s d"],
    visible: Bool[Tensor, "b t s"] | None = None,
    causal: bool = True,
) -> Float[Tensor, "b h t d"]:
    """Attention of `t` queries over `s` keys; the queries are the last `t` of the `s` positions.

    Without `visible`, a query sees its own position and all before it, or every key where attention is not `causal`
    (an encoder's, or that of one text to another). A causal `visible` must allow no key that comes later, and every
    query must see some key. `h` is a multiple of `g`: query head i uses key/value head i // (h / g).
    """
    b, h, t, d = q.shape
    g, s = k.shape[1], k.shape[2]
    if q.device.type != "cpu" or s > LONGEST_PLAIN:
        whole = causal and visible is None and t == s
        mask = None
        if visible is not None:
            mask = visible[:, None]
        elif causal and not whole and t > 1:
            mask = torch.ones(t, s, dtype=torch.bool, device=q.device).tril(s - t)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=whole and t > 1, enable_gqa=h != g)
    if causal and t == s and t % (2 * SHORTEST_HALF) == 0:
        # The first half of the queries sees nothing of the second half of the keys: a quarter of the work falls away.
        half = t // 2
        early = None if visible is None else visible[:, :half, :half]
        late = None if visible is None else visible[:, half:]
        first = attention(q[:, :, :half], k[:, :, :half], v[:, :, :half], early)
        return torch.cat((first, attention(q[:, :, half:], k, v, late)), dim=2)
    # On a CPU and a short context, three batched products beat the fused kernel. The queries of a group are
    # laid under one another, so that keys and values need no copies.
    rows = (h // g) * t
    q = q.reshape(b * g, rows, d)
    k, v = k.reshape(b * g, s, d), v.reshape(b * g, s, d)
    if visible is None and (t == 1 or not causal):
        scores = torch.bmm(q * (1 / math.sqrt(d)), k.transpose(1, 2))
    else:
        bias = _bias(visible, t, s, q)
        if visible is None:
            bias = bias.repeat(h // g, 1)
        else:
            bias = bias[:, None, None].expand(b, g, h // g, t, s).reshape(b * g, rows, s)
        scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=1 / math.sqrt(d))
    return torch.bmm(scores.softmax(-1), v).view(b, h, t, d)


def attention_weights(
    q: Float[Tensor, "b h t d"],
    k: Float[Tensor, "b g s d"],
    visible: Bool[Tensor, "b t s"] | None = None,
    causal: bool = True,
) -> Float[Tensor, "b h t s"]:
    """softmax(Q Kᵀ / √d + mask): how much of each value a query takes, all held at once, which `attention` avoids.

    The arguments are those of `attention`. Each row sums to one.
    """
    b, h, t, d = q.shape
    g, s = k.shape[1], k.shape[2]
    scores = q.view(b, g, h // g, t, d) @ k.transpose(2, 3)[:, :, None] / math.sqrt(d)
    if visible is not None or causal:
        scores = scores + _bias(visible, t, s, q).view(-1, 1, 1, t, s)
    return scores.softmax(-1).view(b, h, t, s)


def _bias(visible: Bool[Tensor, "b t s"] | None, t: int, s: int, like: Tensor) -> Tensor:
    if visible is None:
        visible = torch.ones(t, s, dtype=torch.bool, device=like.device).tril(s - t)
    return torch.zeros(visible.shape, dtype=like.dtype, device=like.device).masked_fill_(~visible, float("-inf"))
