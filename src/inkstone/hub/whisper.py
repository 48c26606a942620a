"""Whisper checkpoints (`WhisperForConditionalGeneration`) and our Whisper, each made from the other.

Theirs has no bias on keys. Ours has, and it changes nothing: it adds the same to all scores of a query. So it is zero coming in
and left out going out. What is to be written, and what never, stands in generation_config.json; of checkpoints from before
that was so, in config.json and among the tokens.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from inkstone.audio.whisper_features import FRAME, HOP, RATE
from inkstone.errors import RunError
from inkstone.files import whole_file, write_json
from inkstone.hub.huggingface_config import refuse_other, share, whole_number
from inkstone.hub.stacked_weights import places_of, stacked, unstacked
from inkstone.models.whisper import Whisper, WhisperSettings, source_places
from inkstone.tokens.speech_tokens import SpeechTokens
from inkstone.tokens.tokenizer import Tokenizer

MODEL_TYPE = "whisper"
ARCHITECTURE = "WhisperForConditionalGeneration"
# Files of a checkpoint beside those that every model has.
FILES = ("preprocessor_config.json", "processor_config.json", "normalizer.json")
MULTILINGUAL = 51_865  # ids of the first models of many languages; those of English have one less

_ACTIVATIONS = ("gelu", "relu", "silu")
_MODULES = {
    "convolutions.0": ("model.encoder.conv1",),
    "convolutions.1": ("model.encoder.conv2",),
    "source_positions": ("model.encoder.embed_positions",),
    "source_norm": ("model.encoder.layer_norm",),
    "embedding": ("model.decoder.embed_tokens",),
    "positions": ("model.decoder.embed_positions",),
    "norm": ("model.decoder.layer_norm",),
    "head": ("proj_out",),
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
_KEY_BIAS = ".k_proj.bias"
_SOURCE_PLACES = "model.encoder.embed_positions.weight"


def is_whisper(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of a Whisper checkpoint."""
    return config.get("model_type") == MODEL_TYPE


def settings_from(config: dict[str, Any], place: Path) -> WhisperSettings:
    """The Whisper that a configuration describes. Raises RunError, naming the key, for what is not supported."""
    name = (config.get("architectures") or [ARCHITECTURE])[0]
    if not is_whisper(config) or name not in (ARCHITECTURE, "WhisperModel"):
        raise RunError(f"{place}: {name} is no {ARCHITECTURE}")
    for key in ("attention_heads", "ffn_dim"):
        refuse_other(config, place, f"decoder_{key}", config.get(f"encoder_{key}"))
    activation = config.get("activation_function", "gelu")
    if activation not in _ACTIVATIONS:
        raise RunError(f"{place}: activation_function = {activation!r}; Inkstone has {', '.join(_ACTIVATIONS)}")
    return WhisperSettings(
        vocab_size=whole_number(config, place, "vocab_size"),
        width=whole_number(config, place, "d_model"),
        n_layers=whole_number(config, place, "encoder_layers"),
        n_decoder_layers=whole_number(config, place, "decoder_layers"),
        n_heads=whole_number(config, place, "encoder_attention_heads"),
        hidden=whole_number(config, place, "encoder_ffn_dim"),
        context=whole_number(config, place, "max_target_positions"),
        bins=whole_number(config, place, "num_mel_bins"),
        source_context=whole_number(config, place, "max_source_positions"),
        activation=activation,
        # scale_embedding is not read: transformers, which writes it, never multiplies by it.
        tied=config.get("tie_word_embeddings", True),
        dropout=share(config, place, "dropout", 0.0),
        first=whole_number(config, place, "decoder_start_token_id"),
    )


def config_from(settings: WhisperSettings, dtype: torch.dtype, end: int) -> dict[str, Any]:
    """config.json for our Whisper, whose end token is `end`."""
    s = settings
    return {
        "architectures": [ARCHITECTURE],
        "model_type": MODEL_TYPE,
        "is_encoder_decoder": True,
        "vocab_size": s.vocab_size,
        "num_mel_bins": s.bins,
        "d_model": s.width,
        "encoder_layers": s.n_layers,
        "decoder_layers": s.decoder_layers,
        "num_hidden_layers": s.n_layers,
        **{f"{side}_attention_heads": s.n_heads for side in ("encoder", "decoder")},
        **{f"{side}_ffn_dim": s.hidden for side in ("encoder", "decoder")},
        "max_source_positions": s.source_context,
        "max_target_positions": s.context,
        "activation_function": s.activation,
        "scale_embedding": False,
        "tie_word_embeddings": s.tied,
        "dropout": s.dropout,
        "decoder_start_token_id": end if s.first is None else s.first,
        "eos_token_id": end,
        "bos_token_id": end,
        "pad_token_id": end,
        "begin_suppress_tokens": None,
        "dtype": str(dtype).removeprefix("torch."),
        "torch_dtype": str(dtype).removeprefix("torch."),
    }


def from_foreign(
    config: dict[str, Any], ours: Mapping[str, Tensor], tensors: Mapping[str, Tensor], place: Path
) -> dict[str, Tensor]:
    """Our parameters from the tensors of a checkpoint. `ours` gives names and shapes.

    Raises CheckpointError for what is missing or of another shape.
    """
    own = {name if name.startswith(("model.", "proj_out.")) else f"model.{name}": own for name, own in tensors.items()}
    if "head.weight" in ours:
        own.setdefault("proj_out.weight", own.get("model.decoder.embed_tokens.weight", torch.empty(0)))
    own.setdefault("model.decoder.embed_tokens.weight", own.get("proj_out.weight", torch.empty(0)))
    states, width = ours["source_positions.weight"].shape
    own.setdefault(_SOURCE_PLACES, source_places(states, width))
    homes = places(ours)
    for name in (part for parts in homes.values() for part in parts if part.endswith(_KEY_BIAS)):
        own[name] = torch.zeros(width)
    return stacked(homes, ours, own, place)


def places(ours: Mapping[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """Where each of our parameters stands in a checkpoint."""
    return places_of(ours, _MODULES, _LAYERS)


def to_foreign(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our parameters under the names of a checkpoint."""
    tensors = unstacked(places(ours), ours)
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(_KEY_BIAS)}


def write(model: Whisper, folder: Path, tokens: SpeechTokens | None = None) -> None:
    """Write a Whisper and its tokenizer as a checkpoint, with how it is to write; config.json as the last.

    `tokens`: those of the checkpoint that it was; by default as the tokenizer names them.
    """
    config = config_from(model.settings, model.embedding.weight.dtype, model.tokenizer.end)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "model.safetensors") as part:
        save_file(to_foreign(dict(model.named_parameters())), part, metadata={"format": "pt"})
    model.tokenizer.save(folder)
    features = {"feature_size": model.settings.bins, "sampling_rate": RATE, "hop_length": HOP, "n_fft": FRAME}
    seconds = model.settings.frames * HOP / RATE
    write_json(
        folder / "preprocessor_config.json",
        {"feature_extractor_type": "WhisperFeatureExtractor", **features, "chunk_length": _whole(seconds)},
    )
    try:
        tokens = tokens or speech_tokens(folder, config, model.tokenizer)
    except RunError:  # a tokenizer of text alone
        tokens = None
    write_json(folder / "generation_config.json", generation_config(model, tokens))
    write_json(folder / "config.json", config)


def generation_config(model: Whisper, tokens: SpeechTokens | None) -> dict[str, Any]:
    """generation_config.json: where a text begins and ends, the tokens that are no text, and the heads that follow the speech."""
    end = model.tokenizer.end
    ids = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": model.first}
    how: dict[str, Any] = {**ids, "max_length": model.settings.context, "return_timestamps": False}
    if tokens is None:
        return how
    tasks = {"transcribe": tokens.transcribe, "translate": tokens.translate}
    how |= {
        "no_timestamps_token_id": tokens.no_times,
        "is_multilingual": bool(tokens.languages),
        "suppress_tokens": list(tokens.suppressed),
        "begin_suppress_tokens": list(tokens.suppressed_first),
    }
    if tokens.languages:
        how["lang_to_id"] = {f"<|{name}|>": number for name, number in tokens.languages.items()}
        how["task_to_id"] = {name: number for name, number in tasks.items() if number is not None}
    for key, value in (
        ("prev_sot_token_id", tokens.previous),
        ("max_initial_timestamp_index", tokens.latest_first_time),
        ("alignment_heads", [list(pair) for pair in tokens.alignment_heads] or None),
    ):
        if value is not None:
            how[key] = value
    return how


def speech_tokens(folder: Path, config: Mapping[str, Any], tokenizer: Tokenizer) -> SpeechTokens:
    """The tokens of a checkpoint that are no text.

    Raises RunError where one that is needed cannot be found, or where the features are others than Whisper's.
    """
    _refuse_other_features(folder, config)
    place = folder / "generation_config.json"
    settings = _json(place)
    known = tokenizer.backend.get_vocab(with_added_tokens=True)

    def named(key: str, token: str) -> int | None:
        found = settings.get(key, known.get(token))
        return found if isinstance(found, int) else None

    size, no_times = int(config["vocab_size"]), named("no_timestamps_token_id", "<|notimestamps|>")
    if no_times is None:
        raise RunError(f"{place}: no_timestamps_token_id is missing, and the tokenizer has no <|notimestamps|>")
    tasks = settings.get("task_to_id") or {}
    languages = settings.get("lang_to_id") or {
        name: number for name, number in known.items() if re.fullmatch(r"<\|[a-z]{2,3}\|>", name)
    }
    many = settings.get("is_multilingual", "lang_to_id" in settings or size >= MULTILINGUAL)
    latest = settings.get("max_initial_timestamp_index")
    never = settings.get("suppress_tokens", config.get("suppress_tokens")) or ()
    at_first = settings.get("begin_suppress_tokens", config.get("begin_suppress_tokens")) or ()
    return SpeechTokens(
        start=int(config["decoder_start_token_id"]),
        end=tokenizer.end,
        no_times=no_times,
        previous=named("prev_sot_token_id", "<|startofprev|>"),
        transcribe=tasks.get("transcribe", known.get("<|transcribe|>")) if many else None,
        translate=tasks.get("translate", known.get("<|translate|>")) if many else None,
        languages={name.strip("<|>"): int(number) for name, number in languages.items()} if many else {},
        suppressed=tuple(number for number in never if 0 <= number < size),
        suppressed_first=tuple(number for number in at_first if 0 <= number < size),
        latest_first_time=latest if isinstance(latest, int) else None,
        alignment_heads=tuple((int(layer), int(head)) for layer, head in settings.get("alignment_heads") or ()),
    )


def _refuse_other_features(folder: Path, config: Mapping[str, Any]) -> None:
    """A checkpoint that was trained on other features would write nonsense."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        place = folder / name
        described = _json(place)
        described = described.get("feature_extractor", described)
        only = {"sampling_rate": RATE, "hop_length": HOP, "n_fft": FRAME, "feature_size": config["num_mel_bins"]}
        for key, value in only.items():
            refuse_other(described, place, key, value)


def _json(place: Path) -> dict[str, Any]:
    try:
        found = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    except ValueError as error:
        raise RunError(f"{place}: cannot be read as JSON ({error})") from None
    if not isinstance(found, dict):
        raise RunError(f"{place}: a {type(found).__name__}; it must be an object of settings")
    return found


def _whole(seconds: float) -> float:
    return int(seconds) if seconds == int(seconds) else seconds
