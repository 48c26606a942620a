"""The block against PyTorch's own encoder and decoder layers with the same numbers."""

import pytest
import torch
from torch import nn

from inkstone.layers.attention import same_document
from inkstone.layers.transformer import TransformerBlock

WIDTH, HEADS, HIDDEN = 12, 3, 20


def pair(kind, pre_norm: bool, activation: str, cross: bool):
    ours = TransformerBlock(
        WIDTH, HEADS, HIDDEN, activation=activation, pre_norm=pre_norm, norm_eps=1e-5, dropout=0.0, cross=cross
    )
    theirs = kind(WIDTH, HEADS, HIDDEN, 0.0, activation, 1e-5, batch_first=True, norm_first=pre_norm)
    with torch.no_grad():
        for weight in ours.parameters():
            weight.normal_(0, 0.4)
        copy = {
            "self_attn.in_proj_weight": ours.qkv.weight,
            "self_attn.in_proj_bias": ours.qkv.bias,
            "self_attn.out_proj.weight": ours.out.weight,
            "self_attn.out_proj.bias": ours.out.bias,
            "linear1.weight": ours.feed_forward.up.weight,
            "linear1.bias": ours.feed_forward.up.bias,
            "linear2.weight": ours.feed_forward.down.weight,
            "linear2.bias": ours.feed_forward.down.bias,
        }
        norms = [ours.attention_norm, ours.feed_forward_norm]
        if cross:
            copy |= {
                "multihead_attn.in_proj_weight": torch.cat((ours.cross_query.weight, ours.cross_key_value.weight)),
                "multihead_attn.in_proj_bias": torch.cat((ours.cross_query.bias, ours.cross_key_value.bias)),
                "multihead_attn.out_proj.weight": ours.cross_out.weight,
                "multihead_attn.out_proj.bias": ours.cross_out.bias,
            }
            norms.insert(1, ours.cross_norm)
        for number, norm in enumerate(norms, 1):
            copy |= {f"norm{number}.weight": norm.weight, f"norm{number}.bias": norm.bias}
        theirs.load_state_dict(copy)
    return ours, theirs.train()  # in evaluation mode PyTorch takes a fast path of its own


@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_layer(pre_norm, activation):
    torch.manual_seed(0)
    ours, theirs = pair(nn.TransformerEncoderLayer, pre_norm, activation, cross=False)
    x = torch.randn(2, 7, WIDTH)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
    document = torch.tensor([[0, 0, 0, 1, 1, -1, -1], [0] * 7])
    visible = same_document(document, document)
    expected = theirs(x, src_mask=~visible.repeat_interleave(HEADS, 0))
    torch.testing.assert_close(ours(x, visible=visible), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_decoder_layer(pre_norm, activation):
    torch.manual_seed(0)
    ours, theirs = pair(nn.TransformerDecoderLayer, pre_norm, activation, cross=True)
    x, source = torch.randn(2, 5, WIDTH), torch.randn(2, 7, WIDTH)
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
    found = ours(x, causal=True, memory=ours.remember(source))
    torch.testing.assert_close(found, theirs(x, source, tgt_mask=causal), rtol=1e-4, atol=1e-5)
    padding = torch.tensor([[False] * 4 + [True] * 3, [False] * 7])
    visible = ~padding[:, None].expand(-1, 5, -1)
    found = ours(x, causal=True, memory=ours.remember(source), memory_visible=visible)
    expected = theirs(x, source, tgt_mask=causal, memory_key_padding_mask=padding)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
