"""Our encoder of the layout "modern" as transformers has it: ESM, a BERT with norms before each part and rotary positions.

    EsmForMaskedLM                 what an encoder of ours becomes
    EsmForSequenceClassification   "class"    scores = W tanh(P h₀ + p) + b
    EsmForTokenClassification      "token"    scores = W hᵢ + b

The class was published for proteins (Lin et al. 2023); nothing in it is about them but the tokens. It has no segments: ours is that of
the first text, whose vector is added to that of each token, so that the matrix that scores tokens is one of its own. It tells padding
by its token, which stands after our vocabulary and [MASK]. These folders are written, not read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inkstone.hub.bert import write_folder
from inkstone.hub.stacked_weights import NEVER, places_of, unstacked
from inkstone.models.encoder import Encoder

PADDING = "[PAD]"
CLASSES = {"class": "EsmForSequenceClassification", "token": "EsmForTokenClassification"}
_MODULES = {
    "embedding": ("esm.embeddings.word_embeddings",),
    "embedding_norm": ("esm.embeddings.layer_norm",),
    "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "out": ("attention.output.dense",),
    "attention_norm": ("attention.LayerNorm",),
    "feed_forward.up": ("intermediate.dense",),
    "feed_forward.down": ("output.dense",),
    "feed_forward_norm": ("LayerNorm",),
    "norm": ("esm.encoder.emb_layer_norm_after",),
    "transform": ("lm_head.dense",),
    "transform_norm": ("lm_head.layer_norm",),
    "bias": ("lm_head.bias",),
}


def config_of(model: Encoder) -> dict[str, Any]:
    """config.json of `EsmForMaskedLM`."""
    s = model.settings
    padding = s.vocab_size + (s.mask is None)
    dtype = str(model.bias.dtype).removeprefix("torch.")
    return {
        "architectures": ["EsmForMaskedLM"],
        "model_type": "esm",
        "vocab_size": padding + 1,
        "hidden_size": s.width,
        "num_hidden_layers": s.n_layers,
        "num_attention_heads": s.n_heads,
        "intermediate_size": s.hidden,
        "max_position_embeddings": s.context,
        "position_embedding_type": "rotary",
        "rope_theta": s.rotary_theta,
        "emb_layer_norm_before": True,
        "token_dropout": False,
        "layer_norm_eps": s.norm_eps,
        "hidden_dropout_prob": s.dropout,
        "attention_probs_dropout_prob": 0.0,
        "tie_word_embeddings": False,
        "pad_token_id": padding,
        "eos_token_id": model.tokenizer.end,
        "mask_token_id": s.mask_id,
        "inkstone_closed": s.closed,
        "dtype": dtype,
        "torch_dtype": dtype,
    }


def tensors_of(model: Encoder) -> dict[str, Tensor]:
    """The parameters under the names of `EsmForMaskedLM`."""
    ours = {name: tensor.detach() for name, tensor in model.named_parameters()}
    types, embedding, bias = ours.pop("types.weight", None), ours["embedding.weight"], ours["bias"]
    rows = torch.cat((embedding, torch.zeros_like(embedding[:1])))
    never = bias.new_full((len(rows) - len(bias),), NEVER)
    ours |= {"embedding.weight": rows if types is None else rows + types[0], "bias": torch.cat((bias, never))}
    places = places_of(ours, _MODULES, {"blocks": "esm.encoder.layer.{}."})
    return unstacked(places, ours) | {"lm_head.decoder.weight": rows.clone()}


def write(model: Encoder, folder: Path) -> None:
    """Write an encoder and its tokenizer as `EsmForMaskedLM` and a tokenizer with [MASK] and [PAD]; config.json as the last."""
    write_with(model, config_of(model), tensors_of(model), folder, {})


def write_with(
    model: Encoder, config: Mapping[str, Any], tensors: dict[str, Tensor], folder: Path, of_tokenizer: Mapping[str, Any]
) -> None:
    """The same with these settings and tensors, and with what is given of tokenizer_config.json."""
    names = {"model_input_names": ["input_ids", "attention_mask"], "pad_token": PADDING}  # it takes no segments
    write_folder(model, config, tensors, folder, {**names, **of_tokenizer}, special=(PADDING,))
