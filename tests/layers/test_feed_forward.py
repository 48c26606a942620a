"""Feed-forward networks against the classes of transformers with the same numbers."""

import pytest
import torch
from torch import nn
from transformers import GPT2Config, LlamaConfig
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP
from transformers.models.llama.modeling_llama import LlamaMLP

from inkstone.layers.feed_forward import MLP, GeluMLP, SwiGLU

X = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bias", [False, True])
def test_swiglu(bias):
    ours = SwiGLU(8, 12, bias)
    theirs = LlamaMLP(LlamaConfig(hidden_size=8, intermediate_size=12, num_attention_heads=2, mlp_bias=bias))
    with torch.no_grad():
        theirs.gate_proj.weight.copy_(ours.gate_up.weight[:12])
        theirs.up_proj.weight.copy_(ours.gate_up.weight[12:])
        theirs.down_proj.weight.copy_(ours.down.weight)
        if bias:
            theirs.gate_proj.bias.copy_(ours.gate_up.bias[:12])
            theirs.up_proj.bias.copy_(ours.gate_up.bias[12:])
            theirs.down_proj.bias.copy_(ours.down.bias)
    torch.testing.assert_close(ours(X), theirs(X))


def test_gelu():
    ours = GeluMLP(8, 12)
    theirs = GPT2MLP(12, GPT2Config(n_embd=8, resid_pdrop=0.0))
    with torch.no_grad():
        theirs.c_fc.weight.copy_(ours.up.weight.T)
        theirs.c_fc.bias.copy_(ours.up.bias)
        theirs.c_proj.weight.copy_(ours.down.weight.T)
        theirs.c_proj.bias.copy_(ours.down.bias)
    torch.testing.assert_close(ours(X), theirs(X))


@pytest.mark.parametrize(("name", "module"), [("relu", nn.ReLU()), ("gelu", nn.GELU()), ("silu", nn.SiLU())])
def test_two_layers_around_an_activation(name, module):
    ours = MLP(8, 12, name)
    torch.testing.assert_close(ours(X), nn.Sequential(ours.up, module, ours.down)(X))
