"""BERT and RoBERTa checkpoints (`BertForMaskedLM`, `RobertaForMaskedLM`) and our encoder, each made from the other.

Checkpoints without the part that fills in what is hidden, as bodies of a head (`bert_tasks.py`), are read too.

Where [MASK] is a row after our vocabulary, it is the last token of an exported one, with a bias so low that its
probability is zero. RoBERTa counts its places from 2 (the number of its padding token, plus 1).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers
import torch
from safetensors.torch import save_file
from torch import Tensor

from inkstone.errors import RunError
from inkstone.files import whole_file, write_json, write_text
from inkstone.hub.huggingface_config import refuse_other, share, whole_number
from inkstone.hub.stacked_weights import NEVER, places_of, stacked, unstacked
from inkstone.models.encoder import Encoder, EncoderSettings

MODEL_TYPES = ("bert", "roberta")
MASKS = ("[MASK]", "<mask>")
DROPOUT = 0.1  # of a configuration that names none
_LANGUAGE_MODELS = ("BertForMaskedLM", "BertForPreTraining", "RobertaForMaskedLM")
# What else a checkpoint may be, by the end of its class's name: the kind of head that it has in `Headed`.
HEAD_KINDS = {
    "Model": "vector",
    "ForSequenceClassification": "class",
    "ForTokenClassification": "token",
    "ForQuestionAnswering": "span",
}

_LAYER = {
    "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "out": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "feed_forward.up": ("intermediate.dense",),
    "feed_forward.down": ("output.dense",),
    "feed_forward_norm": ("output.LayerNorm",),
}
_FILLING_IN = ("transform.", "transform_norm.", "bias")  # the beginnings of our names of what stands in _HEADS
_HEADS = {
    "bert": {
        "transform": ("cls.predictions.transform.dense",),
        "transform_norm": ("cls.predictions.transform.LayerNorm",),
        "bias": ("cls.predictions.bias",),
    },
    "roberta": {"transform": ("lm_head.dense",), "transform_norm": ("lm_head.layer_norm",), "bias": ("lm_head.bias",)},
}


def settings_from(config: dict[str, Any], place: Path) -> EncoderSettings:
    """The encoder that a configuration describes; `place` is its config.json, beside which the tokenizer says what
    [MASK] is. Raises RunError, naming the key, for what is missing or not supported.
    """
    kind, _ = kinds(config, place)
    for key, only in (("hidden_act", "gelu"), ("is_decoder", False), ("tie_word_embeddings", True)):
        refuse_other(config, place, key, only)
    refuse_other(config, place, "position_embedding_type", "absolute")
    return EncoderSettings(
        vocab_size=whole_number(config, place, "vocab_size"),
        width=whole_number(config, place, "hidden_size"),
        n_layers=whole_number(config, place, "num_hidden_layers"),
        n_heads=whole_number(config, place, "num_attention_heads"),
        hidden=whole_number(config, place, "intermediate_size"),
        context=whole_number(config, place, "max_position_embeddings") - _first_place(config, kind),
        n_types=whole_number(config, place, "type_vocab_size"),
        norm_eps=config.get("layer_norm_eps", 1e-12),
        dropout=share(config, place, "hidden_dropout_prob", DROPOUT),
        mask=_mask(config, place),
        closed=config.get("inkstone_closed", True),
    )


def config_from(settings: EncoderSettings, dtype: torch.dtype, end: int) -> dict[str, Any]:
    """config.json of `BertForMaskedLM`. Raises RunError for settings that this layout has no place for."""
    s = settings
    if s.layout != "bert" or not s.n_types:
        raise RunError(
            f"the layout {s.layout!r} with {s.n_types} types is not that of BERT, which alone can be written"
        )
    return {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "vocab_size": s.vocab_size + (s.mask is None),
        "hidden_size": s.width,
        "num_hidden_layers": s.n_layers,
        "num_attention_heads": s.n_heads,
        "intermediate_size": s.hidden,
        "hidden_act": "gelu",
        "max_position_embeddings": s.context,
        "type_vocab_size": s.n_types,
        "layer_norm_eps": s.norm_eps,
        "hidden_dropout_prob": s.dropout,
        "attention_probs_dropout_prob": 0.0,
        "tie_word_embeddings": True,
        "pad_token_id": None,
        "eos_token_id": end,
        "mask_token_id": s.mask_id,
        "inkstone_closed": s.closed,
        "dtype": str(dtype).removeprefix("torch."),
        "torch_dtype": str(dtype).removeprefix("torch."),
    }


def from_foreign(
    config: dict[str, Any], ours: Mapping[str, Tensor], tensors: Mapping[str, Tensor], place: Path
) -> dict[str, Tensor]:
    """Our parameters from the tensors of a checkpoint, under their own names. `ours` gives names and shapes.

    What belongs to other heads is left out. What fills in hidden tokens is zero, where the checkpoint is none that does it:
    every token is then as likely as another. Raises CheckpointError for what is missing or of another shape.
    """
    kind, head = kinds(config, place)
    own = with_whole_names(kind, tensors)
    positions = f"{kind}.embeddings.position_embeddings.weight"
    if positions in own:
        own[positions] = own[positions][_first_place(config, kind) :]
    if head is None:
        return stacked(places(kind, ours), ours, own, place)
    body = {name: tensor for name, tensor in ours.items() if not name.startswith(_FILLING_IN)}
    rest = {name: torch.zeros_like(tensor) for name, tensor in ours.items() if name not in body}
    return stacked(places(kind, body), body, own, place) | rest


def with_whole_names(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by the names that they have in `BertForMaskedLM` or `RobertaForMaskedLM`.

    A checkpoint of the body alone leaves its name out, and the first ones call the numbers of a norm as TensorFlow does.
    """
    alone = not any(name.startswith(f"{kind}.") for name in tensors)
    inside = ("embeddings.", "encoder.", "pooler.")
    named = {f"{kind}.{name}" if alone and name.startswith(inside) else name: each for name, each in tensors.items()}
    return {name.replace(".gamma", ".weight").replace(".beta", ".bias"): tensor for name, tensor in named.items()}


def to_foreign(settings: EncoderSettings, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our parameters under the names of `BertForMaskedLM`."""
    if settings.mask is None:
        ours = {**ours, "bias": torch.cat((ours["bias"], ours["bias"].new_full((1,), NEVER)))}
    return unstacked(places("bert", ours), ours)


def write(model: Encoder, folder: Path) -> None:
    """Write an encoder and its tokenizer as `BertForMaskedLM` and a tokenizer with [MASK]; config.json as the last.

    Raises RunError for a layout that is not BERT's.
    """
    config = config_from(model.settings, model.bias.dtype, model.tokenizer.end)
    write_folder(model, config, to_foreign(model.settings, dict(model.named_parameters())), folder, {})


def write_folder(
    model: Encoder,
    config: Mapping[str, Any],
    tensors: dict[str, Tensor],
    folder: Path,
    of_tokenizer: Mapping[str, Any],
    special: Sequence[str] = (),
) -> None:
    """Write these tensors, the tokenizer of the encoder with [MASK], its settings and those given, and config.json as the last.

    `special` tokens more stand after [MASK] in the tokenizer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "model.safetensors") as part:
        save_file(tensors, part, metadata={"format": "pt"})
    model.tokenizer.save(folder)
    path = folder / "tokenizer_config.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    if config["model_type"] == "bert":  # or transformers leaves the segments of pairs out
        described["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    described |= of_tokenizer
    if model.settings.mask is None and model.tokenizer.vocab_size == model.settings.vocab_size:
        backend = tokenizers.Tokenizer.from_str(model.tokenizer.backend.to_str())
        backend.add_special_tokens([MASKS[0], *special])
        write_text(folder / "tokenizer.json", backend.to_str(pretty=True) + "\n")
        described["mask_token"] = MASKS[0]
    elif model.settings.mask is not None:
        described["mask_token"] = model.tokenizer.backend.id_to_token(model.settings.mask)
    write_json(path, described)
    write_json(folder / "config.json", config)


def kinds(config: Mapping[str, Any], place: Path) -> tuple[str, str | None]:
    """The kind of a checkpoint, "bert" or "roberta", and the kind of its head in `Headed`; None of a language model.

    Raises RunError for a checkpoint that is neither.
    """
    kind = str(config.get("model_type"))
    name = (config.get("architectures") or [""])[0]
    head = {f"{kind.capitalize()}{end}": head for end, head in HEAD_KINDS.items()}.get(name)
    if kind not in MODEL_TYPES or (head is None and name not in ("", *_LANGUAGE_MODELS)):
        raise RunError(
            f"{place}: {name or kind} is no masked language model of the layout of BERT or RoBERTa, nor one of "
            f"{', '.join(f'Bert{end}' for end in HEAD_KINDS)}"
        )
    return kind, head


def _first_place(config: dict[str, Any], kind: str) -> int:
    return config.get("pad_token_id", 1) + 1 if kind == "roberta" else 0


def _mask(config: dict[str, Any], place: Path) -> int:
    """The id of [MASK]: config.json seldom says it, tokenizer.json lists it among the added tokens."""
    if isinstance(config.get("mask_token_id"), int):
        return config["mask_token_id"]
    path = place.with_name("tokenizer.json")
    if path.exists():
        backend = tokenizers.Tokenizer.from_file(str(path))
        for token in MASKS:
            if (number := backend.token_to_id(token)) is not None:
                return number
    raise RunError(f"{place}: no mask_token_id, and no {' or '.join(MASKS)} in a tokenizer.json beside it")


def places(kind: str, ours: Mapping[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """For each of our parameters the names of its parts in a checkpoint of this kind, "bert" or "roberta"."""
    modules = {
        "embedding": (f"{kind}.embeddings.word_embeddings",),
        "positions": (f"{kind}.embeddings.position_embeddings",),
        "types": (f"{kind}.embeddings.token_type_embeddings",),
        "embedding_norm": (f"{kind}.embeddings.LayerNorm",),
        **_LAYER,
        **_HEADS[kind],
    }
    return places_of(ours, modules, {"blocks": f"{kind}.encoder.layer.{{}}."})
