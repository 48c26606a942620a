"""config.json of Hugging Face checkpoints and the settings of our decoder, each made from the other.

What a configuration asks for and the decoder does not do is refused here by name, so that no checkpoint is read as
something it is not.
"""

import math
from pathlib import Path
from typing import Any

import torch

from inkstone.errors import RunError
from inkstone.layers.rotary import RotaryScaling
from inkstone.models.decoder import DecoderSettings

# Mistral within its window is Llama; Qwen2 is Llama with biases on queries, keys and values alone.
LAYOUTS = {
    "Qwen3ForCausalLM": "qwen3",
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "Qwen2ForCausalLM": "llama",
    "GPT2LMHeadModel": "gpt2",
}
_MODEL_TYPES = {
    "qwen3": "Qwen3ForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "gpt2": "GPT2LMHeadModel",
}
_ROPE_TYPES = ("default", "linear", "llama3", "dynamic", "yarn")


def architecture_of(config: dict[str, Any], place: Path) -> str:
    """The name of the checkpoint's class, e.g. "Qwen3ForCausalLM". Raises RunError for one that is not supported."""
    kind = str(config.get("model_type", "not named"))
    name = str((config.get("architectures") or [_MODEL_TYPES.get(kind, kind)])[0])
    if name not in LAYOUTS:
        raise RunError(f"{place}: the architecture is {name}; Inkstone loads {', '.join(sorted(LAYOUTS))}")
    return name


def settings_from(config: dict[str, Any], place: Path) -> DecoderSettings:
    """The decoder that a configuration describes.

    Both styles of rotary settings are read: `rope_parameters` (transformers 5) and `rope_theta` with
    `rope_scaling` (earlier). Raises RunError, naming the key, for what is missing or not supported.
    """
    architecture = architecture_of(config, place)
    if config.get("quantization_config"):
        raise RunError(f"{place}: the weights are quantised (quantization_config); load the checkpoint they came from")
    if LAYOUTS[architecture] == "gpt2":
        return _gpt2_settings(config, place)
    refuse_other(config, place, "hidden_act", "silu")
    if any(kind not in ("full_attention", "sliding_attention") for kind in config.get("layer_types") or []):
        raise RunError(
            f"{place}: layer_types names other than full_attention and sliding_attention, which Inkstone does not have"
        )
    width, n_heads = whole_number(config, place, "hidden_size"), whole_number(config, place, "num_attention_heads")
    theta, scaling = _rotary(config, place)
    return DecoderSettings(
        vocab_size=whole_number(config, place, "vocab_size"),
        width=width,
        n_layers=whole_number(config, place, "num_hidden_layers"),
        n_heads=n_heads,
        n_kv_heads=config.get("num_key_value_heads") or n_heads,
        head_width=config.get("head_dim") or width // n_heads,
        hidden=whole_number(config, place, "intermediate_size"),
        context=_context(config, place, architecture),
        layout=LAYOUTS[architecture],  # type: ignore[arg-type]
        tied=config.get("tie_word_embeddings", False),
        norm_eps=config.get("rms_norm_eps", 1e-6),
        rotary_theta=theta,
        rotary_scaling=scaling,
        attention_bias=architecture == "Qwen2ForCausalLM" or config.get("attention_bias", False),
        hidden_bias=config.get("mlp_bias", False),
    )


def config_from(settings: DecoderSettings, dtype: torch.dtype, end: int) -> dict[str, Any]:
    """config.json for our decoder: weights of type `dtype`, `end` the id that stands before and after a document.

    Rotary settings are written in both styles, for transformers 4 and 5 and the engines that follow either. Raises
    RunError for settings that the published layout has no place for.
    """
    s = settings
    own = _gpt2_config(s) if s.layout == "gpt2" else _llama_config(s)
    return {
        **own,
        "vocab_size": s.vocab_size,
        "tie_word_embeddings": s.tied,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": None,  # transformers would stop the gradient of that row, and ours is the end token
        "dtype": str(dtype).removeprefix("torch."),
        "torch_dtype": str(dtype).removeprefix("torch."),
        "use_cache": True,
    }


def _gpt2_settings(config: dict[str, Any], place: Path) -> DecoderSettings:
    if config.get("activation_function", "gelu_new") not in ("gelu_new", "gelu_pytorch_tanh"):
        refuse_other(config, place, "activation_function", "gelu_new")
    refuse_other(config, place, "scale_attn_weights", True)
    refuse_other(config, place, "scale_attn_by_inverse_layer_idx", False)
    refuse_other(config, place, "add_cross_attention", False)
    width, n_heads = whole_number(config, place, "n_embd"), whole_number(config, place, "n_head")
    return DecoderSettings(
        vocab_size=whole_number(config, place, "vocab_size"),
        width=width,
        n_layers=whole_number(config, place, "n_layer"),
        n_heads=n_heads,
        n_kv_heads=n_heads,
        head_width=width // n_heads,
        hidden=config.get("n_inner") or 4 * width,
        context=whole_number(config, place, "n_positions"),
        layout="gpt2",
        tied=config.get("tie_word_embeddings", True),
        norm_eps=config.get("layer_norm_epsilon", 1e-5),
        dropout=config.get("resid_pdrop", 0.0),
    )


def _gpt2_config(s: DecoderSettings) -> dict[str, Any]:
    if s.n_kv_heads != s.n_heads or s.n_heads * s.head_width != s.width:
        raise RunError(
            f"the GPT-2 layout of Hugging Face has one key/value head for each query head and heads that fill the "
            f"width; this model has {s.n_heads} query heads, {s.n_kv_heads} key/value heads of {s.head_width}, "
            f"and a width of {s.width}"
        )
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "n_embd": s.width,
        "n_layer": s.n_layers,
        "n_head": s.n_heads,
        "n_inner": s.hidden,
        "n_positions": s.context,
        "n_ctx": s.context,
        "layer_norm_epsilon": s.norm_eps,
        "resid_pdrop": s.dropout,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }


def _llama_config(s: DecoderSettings) -> dict[str, Any]:
    if s.layout == "qwen3" and s.hidden_bias:
        raise RunError("the Qwen3 layout of Hugging Face has no bias in the feed-forward network (hidden_bias)")
    scaling: dict[str, Any] = {"rope_type": "default"}
    if s.rotary_scaling is not None:
        scaling = {"rope_type": s.rotary_scaling.kind, "factor": s.rotary_scaling.factor}
        if s.rotary_scaling.kind == "llama3":
            scaling["low_freq_factor"] = s.rotary_scaling.low
            scaling["high_freq_factor"] = s.rotary_scaling.high
            scaling["original_max_position_embeddings"] = s.rotary_scaling.original_context
        elif s.rotary_scaling.kind == "yarn":
            scaling["beta_fast"], scaling["beta_slow"] = s.rotary_scaling.fast, s.rotary_scaling.slow
            scaling["original_max_position_embeddings"] = s.rotary_scaling.original_context
            scaling["truncate"] = s.rotary_scaling.whole_pairs
            if s.rotary_scaling.attention_factor is not None:
                scaling["attention_factor"] = s.rotary_scaling.attention_factor
    return {
        "architectures": ["Qwen3ForCausalLM" if s.layout == "qwen3" else "LlamaForCausalLM"],
        "model_type": s.layout,
        "hidden_act": "silu",
        "hidden_size": s.width,
        "num_hidden_layers": s.n_layers,
        "num_attention_heads": s.n_heads,
        "num_key_value_heads": s.n_kv_heads,
        "head_dim": s.head_width,
        "intermediate_size": s.hidden,
        "max_position_embeddings": s.context,
        "rms_norm_eps": s.norm_eps,
        "rope_theta": s.rotary_theta,
        "rope_scaling": None if s.rotary_scaling is None else scaling,
        "rope_parameters": {"rope_theta": s.rotary_theta, **scaling},
        "attention_bias": s.attention_bias,
        "attention_dropout": 0.0,
        **({"mlp_bias": s.hidden_bias} if s.layout == "llama" else {"use_sliding_window": False}),
    }


def _context(config: dict[str, Any], place: Path, architecture: str) -> int:
    """Tokens that are read at once: the longest text, or the window of attention where that is shorter.

    A text of at most a window is read as without one. Of a longer one a block would see more than its window through the
    blocks below, so the window is where our context ends, and what is longer goes on as texts beyond a context do.
    """
    longest, kinds = whole_number(config, place, "max_position_embeddings"), config.get("layer_types")
    # Where the kinds of the layers are not listed, Mistral has its window everywhere, the others where it is switched on.
    used = architecture == "MistralForCausalLM" or config.get("use_sliding_window", False)
    used = "sliding_attention" in kinds if kinds else used
    if not used or config.get("sliding_window") is None:
        return longest
    return min(longest, whole_number(config, place, "sliding_window"))


def _rotary(config: dict[str, Any], place: Path) -> tuple[float, RotaryScaling | None]:
    values = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    kind = values.get("rope_type", values.get("type", "default"))
    if any(isinstance(value, dict) for value in values.values()):
        kind = "different for each kind of layer"
    if kind not in _ROPE_TYPES:
        raise RunError(f"{place}: the rotary scaling is {kind!r}; Inkstone has {', '.join(_ROPE_TYPES)}")
    partial = values.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
    if partial != 1.0:
        raise RunError(f"{place}: partial_rotary_factor = {partial}; Inkstone turns whole heads (1.0)")
    theta = float(values.get("rope_theta", config.get("rope_theta", 10_000.0)))
    if kind == "default":
        return theta, None
    context = whole_number(config, place, "max_position_embeddings")
    # That of "dynamic" is always the context as the checkpoint names it.
    original = context if kind == "dynamic" else values.get("original_max_position_embeddings") or context
    factor = float(values.get("factor") or context / original)
    return theta, RotaryScaling(
        kind=kind,
        factor=factor,
        low=float(values.get("low_freq_factor", 1.0)),
        high=float(values.get("high_freq_factor", 4.0)),
        original_context=original,
        fast=float(values.get("beta_fast") or 32),
        slow=float(values.get("beta_slow") or 1),
        attention_factor=_attention_factor(values, factor) if kind == "yarn" else None,
        whole_pairs=bool(values.get("truncate", True)),
    )


def _attention_factor(values: dict[str, Any], factor: float) -> float | None:
    """What "yarn" multiplies cosines and sines by, where the configuration says more than the factor does."""
    if values.get("attention_factor") is not None:
        return float(values["attention_factor"])
    above, below = values.get("mscale"), values.get("mscale_all_dim")
    if not above or not below or factor <= 1:
        return None
    return (0.1 * above * math.log(factor) + 1) / (0.1 * below * math.log(factor) + 1)


def whole_number(config: dict[str, Any], place: Path, key: str) -> int:
    """A count or width in a configuration. Raises RunError, naming the key, for what is no whole number of at least 1."""
    value = config.get(key)
    if not isinstance(value, int) or value < 1:
        raise RunError(f"{place}: {key} is {value!r}; it must be a whole number of at least 1")
    return value


def share(config: dict[str, Any], place: Path, key: str, default: float) -> float:
    """A share such as a dropout, `default` where the key is absent. Raises RunError for what is not from 0 to below 1."""
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise RunError(f"{place}: {key} is {value!r}; it must be a number from 0 to below 1")
    return float(value)


def refuse_other(config: dict[str, Any], place: Path, key: str, supported: Any) -> None:
    """Raises RunError, naming the key, for a value other than the one we have; a key that is absent is taken to have it."""
    value = config.get(key, supported)
    if value != supported:
        raise RunError(f"{place}: {key} = {value!r}; Inkstone has only {key} = {supported!r}")
