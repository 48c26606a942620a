"""Tensors of Hugging Face checkpoints and the parameters of our decoder: names, order of rows, and reading them.

Ours are fused (queries, keys and values in one matrix; gate and up in one), those of Qwen3 and Llama are not; those
of GPT-2 are fused alike but stored transposed.
"""

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from inkstone.errors import CheckpointError, RunError
from inkstone.models.decoder import DecoderSettings

_LLAMA = {
    "embedding": ("model.embed_tokens",),
    "norm": ("model.norm",),
    "head": ("lm_head",),
    "attention_norm": ("input_layernorm",),
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "query_norm": ("self_attn.q_norm",),
    "key_norm": ("self_attn.k_norm",),
    "feed_forward_norm": ("post_attention_layernorm",),
    "feed_forward.gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "feed_forward.down": ("mlp.down_proj",),
}
_GPT2 = {
    "embedding": ("transformer.wte",),
    "positions": ("transformer.wpe",),
    "norm": ("transformer.ln_f",),
    "head": ("lm_head",),
    "attention_norm": ("ln_1",),
    "qkv": ("attn.c_attn",),
    "out": ("attn.c_proj",),
    "feed_forward_norm": ("ln_2",),
    "feed_forward.up": ("mlp.c_fc",),
    "feed_forward.down": ("mlp.c_proj",),
}
_GPT2_TRANSPOSED = ("qkv", "out", "feed_forward.up", "feed_forward.down")

# Buffers that older checkpoints carry and that follow from the configuration.
_DERIVED = re.compile(r"(^|\.)(rotary_emb\.inv_freq|attn\.(masked_)?bias)$")
_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class Foreign:
    """One of our parameters in the other layout: tensors that, laid under one another, are ours."""

    names: tuple[str, ...]
    rows: tuple[int, ...]  # how many of our rows each of them holds
    transposed: bool = False


def foreign_names(settings: DecoderSettings, ours: Mapping[str, Tensor]) -> dict[str, Foreign]:
    """For each of our parameters, where its numbers stand in a checkpoint of the same layout."""
    s = settings
    table, prefix = (_GPT2, "transformer.h") if s.layout == "gpt2" else (_LLAMA, "model.layers")
    parts = {
        "qkv": tuple(n * s.head_width for n in (s.n_heads, s.n_kv_heads, s.n_kv_heads)),
        "feed_forward.gate_up": (s.hidden, s.hidden),
    }
    places = {}
    for name, parameter in ours.items():
        module, _, kind = name.rpartition(".")
        before = ""
        if module.startswith("blocks."):
            _, layer, module = module.split(".", 2)
            before = f"{prefix}.{layer}."
        names = tuple(f"{before}{foreign}.{kind}" for foreign in table[module])
        rows = parts[module] if len(names) > 1 else (parameter.shape[0],)
        transposed = s.layout == "gpt2" and kind == "weight" and module in _GPT2_TRANSPOSED
        places[name] = Foreign(names, rows, transposed)
    return places


def to_foreign(settings: DecoderSettings, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our parameters under the names and in the shapes of the published layout. Views where they can be."""
    tensors = {}
    for name, foreign in foreign_names(settings, ours).items():
        for part_name, part in zip(foreign.names, ours[name].split(foreign.rows), strict=True):
            tensors[part_name] = (part.T if foreign.transposed else part).contiguous()
    return tensors


def from_foreign(
    files: "TensorFiles",
    architecture: str,
    settings: DecoderSettings,
    ours: Mapping[str, Tensor],
    dtype: torch.dtype | None,
) -> dict[str, Tensor]:
    """Our parameters from the tensors of a checkpoint, as `dtype` or as stored. `ours` gives names and shapes.

    What needs no change stays in the mapped file and costs no memory until it is used. Raises CheckpointError that
    names the tensors which are missing, left over or of another shape.
    """
    places = foreign_names(settings, ours)
    wanted = {name for foreign in places.values() for name in foreign.names}
    # Qwen2 has no bias on the output of attention; a bias of zero is the same.
    qwen2 = architecture == "Qwen2ForCausalLM"
    absent = {name for name in wanted if qwen2 and name.endswith("self_attn.o_proj.bias")}
    missing = sorted(wanted - absent - files.names.keys())
    if missing:
        raise CheckpointError(f"{files.place}: {_listed(missing)} missing from the weights")
    extra = sorted(
        name for name in files.names.keys() - wanted if not _DERIVED.search(name) and name != "lm_head.weight"
    )
    if extra:
        raise CheckpointError(f"{files.place}: {_listed(extra)} in the weights, but not in the architecture")
    state = {}
    for name, foreign in places.items():
        shape = ours[name].shape
        parts = []
        for part_name, rows in zip(foreign.names, foreign.rows, strict=True):
            expected = (*shape[1:], rows) if foreign.transposed else (rows, *shape[1:])
            if part_name in absent:
                parts.append(torch.zeros(expected, dtype=dtype or files.dtype()))
                continue
            part = files.read(part_name)
            if tuple(part.shape) != expected:
                raise CheckpointError(
                    f"{files.place}: {part_name} has the shape {tuple(part.shape)}; the configuration asks for {expected}"
                )
            if dtype is not None:
                part = part.to(dtype)
            parts.append(part.T.contiguous() if foreign.transposed else part)
        state[name] = parts[0] if len(parts) == 1 else torch.cat(parts)
    return state


class TensorFiles:
    """The tensors of a model folder, in one safetensors file or in several with an index; use it in a `with`."""

    def __init__(self, folder: Path, layout: str):
        self.place = folder
        self.names: dict[str, tuple[Any, str]] = {}  # our spelling of a name: the open file and its own spelling
        self._stack = ExitStack()
        for path in weight_files(folder):
            try:
                file = self._stack.enter_context(safe_open(path, framework="pt"))
            except (SafetensorError, OSError) as error:
                self._stack.close()
                raise CheckpointError(
                    f"{path}: not a whole safetensors file ({error}); copy or download it again"
                ) from None
            for name in file.keys():  # noqa: SIM118 (not a dict)
                self.names[_with_prefix(name, "transformer." if layout == "gpt2" else "model.")] = (file, name)

    def __enter__(self) -> "TensorFiles":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def read(self, name: str) -> Tensor:
        """One tensor, mapped from its file."""
        file, own_name = self.names[name]
        return file.get_tensor(own_name)

    def dtype(self) -> torch.dtype:
        """The smallest type that holds every stored number exactly. Buffers that are no weights do not count."""
        stored = {
            file.get_slice(own_name).get_dtype()
            for name, (file, own_name) in self.names.items()
            if not _DERIVED.search(name)
        }
        if unknown := stored - _TYPES.keys():
            raise CheckpointError(
                f"{self.place}: weights stored as {', '.join(sorted(unknown))}; Inkstone reads {', '.join(_TYPES)}"
            )
        return reduce(torch.promote_types, (_TYPES[name] for name in stored))


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold a folder's weights. Raises RunError where there are none, or not all."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.exists():
        return [single]
    if index.exists():
        try:
            shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CheckpointError(f"{index}: not an index of weights; copy or download it again") from None
        absent = [shard for shard in shards if not (folder / shard).exists()]
        if absent:
            raise RunError(f"{folder}: {_listed(absent)} named in {index.name}, but missing; copy or download again")
        if any(Path(shard).name != shard for shard in shards):
            raise CheckpointError(f"{index}: names a file outside the folder; such a checkpoint is not opened")
        return [folder / shard for shard in shards]
    pickled = sorted(path.name for pattern in ("pytorch_model*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    if pickled:
        raise RunError(
            f"{folder} has its weights only in {pickled[0]}, a pickle, which can run any code when it is opened; "
            "Inkstone reads safetensors alone. Where you trust it, convert it once with transformers: "
            f"AutoModelForCausalLM.from_pretrained({str(folder)!r}).save_pretrained('NEW FOLDER')"
        )
    if any(folder.glob("checkpoints/*")):
        from inkstone.run import Run  # with it comes the recipe, which a folder that opens does not need

        raise RunError(
            f"{folder} is a run that has not ended: it has checkpoints but no model.safetensors yet; "
            f"let it end, or go on with it by `{Run(folder).resuming()}`"
        )
    inside = sorted(path.parent.name for path in folder.glob("*/config.json"))
    raise RunError(
        f"{folder} has no model.safetensors; "
        + (
            f"name one of the models in it: {_first(inside)}"
            if inside
            else "name a run folder or a Hugging Face checkpoint"
        )
    )


def _with_prefix(name: str, prefix: str) -> str:
    """Checkpoints saved from the body alone (the first GPT-2 among them) leave its name out."""
    return name if name.startswith((prefix, "lm_head.")) else prefix + name


def _listed(names: list[str]) -> str:
    return f"{_first(names)} {'is' if len(names) == 1 else 'are'}"


def _first(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
