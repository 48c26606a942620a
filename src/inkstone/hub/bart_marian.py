"""BART and Marian checkpoints (`BartForConditionalGeneration`, `MarianMTModel`) and our encoder-decoder.

Both have norms after each part. BART has learned places, counted from 2, and a norm before the first block; Marian has
sinusoids. Their bias on the logits is our `output_bias`. Sentinels of ours are tokens after the vocabulary there, with a
bias so low that their probability is zero.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from inkstone.errors import RunError
from inkstone.files import whole_file, write_json
from inkstone.hub.huggingface_config import refuse_other, share, whole_number
from inkstone.hub.stacked_weights import NEVER, places_of, stacked, unstacked
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings

ARCHITECTURES = {"bart": "BartForConditionalGeneration", "marian": "MarianMTModel"}
BART_FIRST_PLACE = 2
DROPOUT = 0.1  # of a configuration that names none

_ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "gelu_new": "gelu-tanh", "swish": "silu", "silu": "silu"}
_MODULES = {
    "embedding": ("model.shared",),
    "source_embedding": ("model.encoder.embed_tokens",),
    "positions": ("model.decoder.embed_positions",),
    "source_positions": ("model.encoder.embed_positions",),
    "embedding_norm": ("model.decoder.layernorm_embedding",),
    "source_embedding_norm": ("model.encoder.layernorm_embedding",),
    "head": ("lm_head",),
    "bias": ("final_logits_bias",),
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.out_proj",),
    "attention_norm": ("self_attn_layer_norm",),
    "cross_query": ("encoder_attn.q_proj",),
    "cross_key_value": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "cross_out": ("encoder_attn.out_proj",),
    "cross_norm": ("encoder_attn_layer_norm",),
    "feed_forward.up": ("fc1",),
    "feed_forward.down": ("fc2",),
    "feed_forward_norm": ("final_layer_norm",),
}
_LAYERS = {"encoder": "model.encoder.layers.{}.", "decoder": "model.decoder.layers.{}."}
_TIED = ("model.decoder.embed_tokens.weight", "model.encoder.embed_tokens.weight", "lm_head.weight")


def settings_from(config: dict[str, Any], place: Path) -> EncoderDecoderSettings:
    """The encoder-decoder that a configuration describes. Raises RunError, naming the key, for what is not supported."""
    kind = _kind(config, place)
    for key, only in (
        ("normalize_before", False),
        ("add_final_layer_norm", False),
        ("normalize_embedding", kind == "bart"),
    ):
        refuse_other(config, place, key, only)
    for key in ("attention_heads", "ffn_dim"):
        refuse_other(config, place, f"decoder_{key}", config.get(f"encoder_{key}"))
    vocab_size = whole_number(config, place, "vocab_size")
    if config.get("decoder_vocab_size") not in (None, vocab_size):
        raise RunError(f"{place}: decoder_vocab_size differs from vocab_size; Inkstone has one vocabulary for both")
    activation, tied = config.get("activation_function", "gelu"), config.get("tie_word_embeddings", True)
    if activation not in _ACTIVATIONS:
        raise RunError(f"{place}: activation_function = {activation!r}; Inkstone has {', '.join(_ACTIVATIONS)}")
    return EncoderDecoderSettings(
        vocab_size=vocab_size,
        width=whole_number(config, place, "d_model"),
        n_layers=whole_number(config, place, "encoder_layers"),
        n_decoder_layers=whole_number(config, place, "decoder_layers"),
        n_heads=whole_number(config, place, "encoder_attention_heads"),
        hidden=whole_number(config, place, "encoder_ffn_dim"),
        context=whole_number(config, place, "max_position_embeddings"),
        norm="post",
        positions="learned" if kind == "bart" else "sinusoidal",
        activation=_ACTIVATIONS[activation],
        shared=tied and config.get("share_encoder_decoder_embeddings", True),
        tied=tied,
        scaled=config.get("scale_embedding", False),
        embedding_norm=kind == "bart",
        output_bias=True,
        n_sentinels=0,
        dropout=share(config, place, "dropout", DROPOUT),
        first=config.get("decoder_start_token_id"),
    )


def config_from(settings: EncoderDecoderSettings, dtype: torch.dtype, end: int) -> dict[str, Any]:
    """config.json in the layout of BART or Marian, whichever the settings are. Raises RunError where they are neither."""
    s = settings
    if s.copying:
        raise RunError(
            "an encoder-decoder that copies from its source has no layout elsewhere; tune with model.copying=false for one that has"
        )
    shapes = {"bart": ("learned", True), "marian": ("sinusoidal", False)}
    kind = next((k for k, shape in shapes.items() if (s.positions, s.embedding_norm) == shape), None)
    if kind is None or s.norm != "post" or (kind == "bart" and s.tied and not s.shared):
        raise RunError(
            f"an encoder-decoder with norm = {s.norm!r}, positions = {s.positions!r}, embedding_norm = {s.embedding_norm}, "
            f"shared = {s.shared}, tied = {s.tied} is laid out neither as BART (post, learned, True, shared if tied) "
            "nor as Marian (post, sinusoidal, False)"
        )
    names = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}
    return {
        "architectures": [ARCHITECTURES[kind]],
        "model_type": kind,
        "is_encoder_decoder": True,
        "vocab_size": s.vocab_size + s.n_sentinels,
        **({"decoder_vocab_size": s.vocab_size + s.n_sentinels} if kind == "marian" else {}),
        "d_model": s.width,
        "encoder_layers": s.n_layers,
        "decoder_layers": s.decoder_layers,
        "num_hidden_layers": s.n_layers,
        **{f"{side}_attention_heads": s.n_heads for side in ("encoder", "decoder")},
        **{f"{side}_ffn_dim": s.hidden for side in ("encoder", "decoder")},
        "max_position_embeddings": s.context,
        "activation_function": names[s.activation],
        "scale_embedding": s.scaled,
        "share_encoder_decoder_embeddings": s.shared and s.tied,
        "tie_word_embeddings": s.tied,
        "dropout": s.dropout,
        "decoder_start_token_id": end if s.first is None else s.first,
        "eos_token_id": end,
        "bos_token_id": end,
        "pad_token_id": end,
        "forced_eos_token_id": None,
        "dtype": str(dtype).removeprefix("torch."),
        "torch_dtype": str(dtype).removeprefix("torch."),
    }


def from_foreign(
    config: dict[str, Any], ours: Mapping[str, Tensor], tensors: Mapping[str, Tensor], place: Path
) -> dict[str, Tensor]:
    """Our parameters from the tensors of a checkpoint, under their own names. `ours` gives names and shapes.

    Raises CheckpointError for what is missing or of another shape.
    """
    kind = _kind(config, place)
    # Checkpoints saved from the body alone leave its name out.
    outside = ("model.", "lm_head.", "final_logits_bias")
    own = {name if name.startswith(outside) else f"model.{name}": tensor for name, tensor in tensors.items()}
    # Tied matrices are stored once, under one name or another; a missing bias is zero.
    if "source_embedding.weight" in ours and _TIED[0] in own:
        own["model.shared.weight"] = own[_TIED[0]]
    for name in _TIED:
        if "model.shared.weight" not in own and name in own:
            own["model.shared.weight"] = own[name]
    own["final_logits_bias"] = own.get("final_logits_bias", torch.zeros_like(ours["bias"], device="cpu")).flatten()
    for side in ("encoder", "decoder"):
        name = f"model.{side}.embed_positions.weight"
        if kind == "bart" and name in own:
            own[name] = own[name][BART_FIRST_PLACE:]
    return stacked(places(ours), ours, own, place)


def to_foreign(settings: EncoderDecoderSettings, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our parameters under the names of BART and Marian."""
    s, embedding = settings, ours["embedding.weight"]
    bias = ours.get("bias", embedding.new_zeros(s.vocab_size))
    ours = {**ours, "bias": torch.cat((bias, bias.new_full((s.n_sentinels,), NEVER)))}
    if not s.tied:
        ours["head.weight"] = torch.cat((ours["head.weight"], embedding.new_zeros(s.n_sentinels, s.width)))
    tensors = unstacked(places(ours), ours)
    tensors["final_logits_bias"] = tensors["final_logits_bias"][None]
    if not (s.shared and s.tied):  # there are then two embeddings, be they equal
        tensors["model.decoder.embed_tokens.weight"] = tensors["model.shared.weight"].clone()
        tensors.setdefault("model.encoder.embed_tokens.weight", tensors["model.shared.weight"].clone())
    for name in list(tensors):
        if name.endswith("embed_positions.weight"):
            unused = tensors[name].new_zeros(BART_FIRST_PLACE, s.width)
            tensors[name] = torch.cat((unused, tensors[name]))
    return tensors


def places(ours: Mapping[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """For each of our parameters the names of its parts in a checkpoint."""
    return places_of(ours, _MODULES, _LAYERS)


def write(model: EncoderDecoder, folder: Path) -> None:
    """Write an encoder-decoder and its tokenizer as BART or Marian, which it must be laid out as; config.json as the last."""
    end = model.tokenizer.end
    config = config_from(model.settings, model.embedding.weight.dtype, end)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = to_foreign(model.settings, dict(model.named_parameters()))
    with whole_file(folder / "model.safetensors") as part:
        save_file(tensors, part, metadata={"format": "pt"})
    model.tokenizer.save(folder)
    start = config["decoder_start_token_id"]
    ids = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}
    write_json(folder / "generation_config.json", ids)
    write_json(folder / "config.json", config)


def _kind(config: dict[str, Any], place: Path) -> str:
    kind = str(config.get("model_type"))
    name = (config.get("architectures") or [ARCHITECTURES.get(kind)])[0]
    if kind not in ARCHITECTURES or name not in (ARCHITECTURES[kind], "BartModel", "MarianModel"):
        raise RunError(f"{place}: {name or kind} is no {' or '.join(ARCHITECTURES.values())}")
    return kind
