"""Low-rank changes in the layout of peft: adapter_config.json and adapter_model.safetensors, there and back.

An adapter lies beside the checkpoint that it was trained on and names its modules by the checkpoint's names. Where these are
the maps that we stack (q_proj, k_proj, v_proj of one qkv), each has its own A and B on both sides. Of GPT-2 the stack is one
module, c_attn: written, the changes of its maps become one of the sum of their ranks; read, it is one change of the whole
stack. The logits are the same.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from inkstone.errors import CheckpointError, RunError
from inkstone.files import whole_folder, writing_fault
from inkstone.hub import bart_marian, bert, whisper
from inkstone.hub.huggingface_weights import foreign_names, to_foreign
from inkstone.layers.lora import LoRALinear, LowRank, adapt, adapted, stacked_maps
from inkstone.models.decoder import Decoder
from inkstone.models.encoder import Encoder
from inkstone.models.encoder_decoder import EncoderDecoder
from inkstone.models.whisper import Whisper

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
ADAPTER = "adapter"  # the folder of it in a run

# Variants of low-rank adaptation that compute something else, by the key that switches them on.
_OTHER_KINDS = (
    "use_dora", "use_qalora", "use_bdlora", "lora_bias", "layer_replication", "trainable_token_indices", "target_parameters",
    "alora_invocation_tokens", "arrow_config", "kasa_config", "monteclora_config", "velora_config",
)  # fmt: skip
# Beginnings that are taken out of the checkpoint's own weights, so that the adapter is none of the checkpoint as it is.
_CHANGE_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


def write_adapter(model: nn.Module, folder: Path | str, base: Path | str = "", lies: Path | str | None = None) -> Path:
    """Write the low-rank changes of a model, and what of a decoder learns beside them, as an adapter; the folder.

    `base` is what the adapter is for: the folder of the exported model without changes (`hub/export.py`), or a hub name;
    `lies` is where its config.json is, if not there.

    Raises RunError for a model without changes, one that peft has no names for, or a place that is taken.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise RunError(f"{folder} already exists; choose another place for the adapter")
    layers = adapted(model)
    if not layers:
        raise RunError(f"the model has no low-rank changes to write into {folder}; export the model itself")
    modules, described = _modules(model, _kind_of(lies or base))
    changes: dict[str, LowRank] = {}
    for path, layer in layers.items():
        parts = [_joined(layer)] if len(modules[path]) == 1 else [layer.change_of(i) for i in range(len(layer.rows))]
        changes |= {name: part for name, part in zip(modules[path], parts, strict=True) if part is not None}
    saved = _learning_beside(model)
    tensors = {PREFIX + name: tensor.detach().cpu().contiguous() for name, tensor in saved.items()}
    for name, change in changes.items():
        tensors[f"{PREFIX}{name}.lora_A.weight"] = change.A.detach().cpu().contiguous()
        tensors[f"{PREFIX}{name}.lora_B.weight"] = change.B.detach().cpu().contiguous()
    (rank, alpha), _ = Counter((change.rank, change.alpha) for change in changes.values()).most_common(1)[0]
    every = {name for names in modules.values() for name in names}
    config = {
        "peft_type": "LORA",
        **described,
        "base_model_name_or_path": str(base) or None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": _whole(alpha),
        "rank_pattern": {name: change.rank for name, change in changes.items() if change.rank != rank},
        "alpha_pattern": {name: _whole(change.alpha) for name, change in changes.items() if change.alpha != alpha},
        "lora_dropout": max(layer.dropout for layer in layers.values()),
        "target_modules": sorted({_short(name, changes.keys(), every) for name in changes}),
        "modules_to_save": sorted({name.rpartition(".")[0] for name in saved}) or None,
        "bias": "none",
        "fan_in_fan_out": isinstance(model, Decoder) and model.settings.layout == "gpt2",
        "init_lora_weights": True,
        "use_rslora": False,
        "use_dora": False,
    }
    try:
        with whole_folder(folder) as part:
            save_file(tensors, part / WEIGHTS, metadata={"format": "pt"})
            (part / CONFIG).write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except Exception as error:
        if fault := writing_fault(error):
            raise RunError(f"{folder}: the adapter could not be written ({fault}); nothing was left") from None
        raise
    return folder


def read_adapter(model: nn.Module, folder: Path | str) -> nn.Module:
    """Put the changes of an adapter into the model that it was trained on, in place; the model.

    Only they learn from then on, and what the adapter holds of whole weights. Raises RunError for what is no such adapter or
    computes something else, CheckpointError for tensors that are damaged or do not fit. The model then stays as it was.
    """
    folder = Path(folder)
    config, tensors = _config(folder), _tensors(folder)
    homes, place = _homes(model), folder / WEIGHTS
    changes: dict[str, dict[int, LowRank]] = {}
    for name in sorted({key.rpartition(".lora_")[0] for key in tensors if re.search(r"\.lora_[AB]\.weight$", key)}):
        A, B = (tensors.pop(f"{name}.lora_{factor}.weight", None) for factor in "AB")
        if name not in homes:
            raise RunError(f"{place}: changes {name}, which is no linear layer of this model; open the model it is for")
        home = homes[name]
        rows, columns = home.rows[home.number], home.layer.in_features
        rank = len(A) if A is not None and A.dim() else 0
        if A is None or B is None or not rank or A.shape != (rank, columns) or B.shape != (rows, rank):
            found = " and ".join("missing" if factor is None else f"{tuple(factor.shape)}" for factor in (A, B))
            raise CheckpointError(f"{place}: A and B of {name} are {found}; a map of this model is {rows} × {columns}")
        like, alpha = home.layer.weight, _alpha(config, name, rank, folder)
        changes.setdefault(home.path, {})[home.number] = LowRank(A.to(like), B.to(like), alpha)
    whole = _whole_weights(model, tensors, bool(config.get("ensure_weight_tying")), place)
    if not changes:
        raise CheckpointError(f"{place}: no low-rank change in it; copy the adapter anew")
    by_path = {home.path: home for home in homes.values()}
    dropout = float(config.get("lora_dropout", 0.0))
    layers = {
        path: LoRALinear(by_path[path].layer, by_path[path].rows, parts, dropout) for path, parts in changes.items()
    }
    for name, tensor in whole.items():
        path, _, kind = name.rpartition(".")
        setattr(model.get_submodule(path), kind, nn.Parameter(tensor))
    return adapt(model, layers, list(whole))


@dataclass(frozen=True)
class _Home:
    """Where a module of a checkpoint is in our model: one of the maps stacked in a linear layer."""

    path: str
    layer: nn.Linear
    rows: tuple[int, ...]
    number: int


def _homes(model: nn.Module) -> dict[str, _Home]:
    """The home of each linear layer of a checkpoint."""
    stacks, homes = stacked_maps(model), {}
    for kind in ("bert", "roberta") if isinstance(model, Encoder) else ("",):
        for path, names in _modules(model, kind)[0].items():
            layer = model.get_submodule(path)
            if isinstance(layer, nn.Linear):
                rows = stacks[path] if len(names) > 1 else (layer.out_features,)
                for number, name in enumerate(names):
                    # An adapter of the body alone leaves its name out.
                    homes |= dict.fromkeys((name, name.partition(".")[2]), _Home(path, layer, rows, number))
    return homes


def _modules(model: nn.Module, kind: str) -> tuple[dict[str, tuple[str, ...]], dict[str, Any]]:
    """For each module of ours its modules in the checkpoint, and what a configuration says of that.

    `kind` is that of an encoder, "bert" or "roberta". Raises RunError for a model that has no such checkpoint.
    """
    ours = {}
    for name, weight in model.named_parameters():
        if ".changes." not in name:
            ours[name.replace(".base.", ".")] = weight
    described: dict[str, Any] = {"task_type": None}
    if isinstance(model, Decoder):
        parts = {name: foreign.names for name, foreign in foreign_names(model.settings, ours).items()}
        described["task_type"] = "CAUSAL_LM"
    elif isinstance(model, Encoder):
        bert.config_from(model.settings, torch.float32, model.tokenizer.end)  # refuses what is not laid out like BERT
        parts = bert.places(kind, ours)
        name = {"bert": "BertForMaskedLM", "roberta": "RobertaForMaskedLM"}[kind]
        library = f"transformers.models.{kind}.modeling_{kind}"
        described["auto_mapping"] = {"base_model_class": name, "parent_library": library}
    elif isinstance(model, Whisper):
        parts = whisper.places(ours)
    elif isinstance(model, EncoderDecoder):
        bart_marian.config_from(model.settings, torch.float32, model.tokenizer.end)
        parts = bart_marian.places(ours)
        described["task_type"] = "SEQ_2_SEQ_LM"
    else:
        raise RunError(
            f"{getattr(model, 'family', type(model).__name__)!r} is not among what peft has names for: decoder, encoder, "
            "encoder_decoder; of a model with a head, give its body"
        )
    modules = {
        name.removesuffix(".weight"): tuple(part.removesuffix(".weight") for part in found)
        for name, found in parts.items()
        if name.endswith(".weight")
    }
    return modules, described


def _kind_of(base: Path | str) -> str:
    """What kind of encoder a base is, by its config.json where it is a folder."""
    try:
        kind = json.loads((Path(base) / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        kind = None
    return "roberta" if kind == "roberta" else "bert"


def _joined(layer: LoRALinear) -> LowRank | None:
    """The changes of all maps of a stack as one, of the sum of their ranks."""
    if len(layer.rows) == 1:
        return layer.change_of(0)
    B, A = layer.factors()
    return LowRank(A.detach(), B.detach(), float(len(A)))


def _learning_beside(model: nn.Module) -> dict[str, Tensor]:
    """What learns as a whole beside the changes, by the checkpoint's names. Raises RunError where it has no place there."""
    names = {
        name: weight for name, weight in model.named_parameters() if weight.requires_grad and ".changes." not in name
    }
    if not names:
        return {}
    if isinstance(model, Decoder) and not any(".base." in name for name in names):
        places = foreign_names(model.settings, names).values()
        if all(len(place.names) == 1 and not place.transposed for place in places):
            tensors = to_foreign(model.settings, names)
            if model.settings.tied and "embedding.weight" in names:  # peft keeps two copies
                tensors["lm_head.weight"] = names["embedding.weight"].clone()
            return tensors
    raise RunError(
        f"{', '.join(sorted(names)[:5])} learned as a whole beside the low-rank changes; an adapter can hold that only of the "
        "embedding, the norms and the output matrix of a decoder. Merge the changes (merge_lora) and export the model"
    )


def _whole_weights(model: nn.Module, tensors: Mapping[str, Tensor], keeps: bool, place: Path) -> dict[str, Tensor]:
    """What an adapter holds beside A and B: whole weights of a decoder, by our names.

    Of an embedding that is the output matrix too, peft saves and loads two copies, or where it `keeps` them one, a single one;
    that of GPT-2 it does not know to be one.
    """
    ours, names, tied = dict(model.named_parameters()), {}, False
    if isinstance(model, Decoder):
        found, tied = foreign_names(model.settings, ours).items(), model.settings.tied
        names = {other.names[0]: name for name, other in found if len(other.names) == 1 and not other.transposed}
        names |= {"lm_head.weight": "embedding.weight"} if tied else {}
    whole: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        name = names.get(key)
        if name is None or tensor.shape != ours[name].shape:
            raise RunError(
                f"{place}: holds {key} of the shape {tuple(tensor.shape)}, which is neither a low-rank change nor a whole "
                "weight of this model; merge the adapter into its model with peft (merge_and_unload) and import that"
            )
        copies = [other for other in tensors if names.get(other) == name]
        if (
            tied
            and name == "embedding.weight"
            and (len(copies) < 2 or not torch.equal(*map(tensors.__getitem__, copies)))
        ):
            raise RunError(
                f"{place}: has an output matrix that is not its embedding, but in this model they are one; merge the adapter "
                "into its model with peft (merge_and_unload) and import that"
            )
        whole[name] = tensor.to(ours[name])
    return whole


def _config(folder: Path) -> dict[str, Any]:
    """adapter_config.json. Raises RunError where there is none, or where it asks for what `LoRALinear` does not compute."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(config, dict), "not an object"
    except (OSError, ValueError, AssertionError) as error:
        raise RunError(f"{path}: cannot be read as the configuration of an adapter ({error})") from None
    if config.get("peft_type") != "LORA":
        raise RunError(f"{path}: peft_type = {config.get('peft_type')!r}; Inkstone opens LORA")
    beginning, dropout = config.get("init_lora_weights"), config.get("lora_dropout", 0.0)
    for key, wrong in (
        *((key, bool(config.get(key))) for key in _OTHER_KINDS),
        ("lora_dropout", not isinstance(dropout, int | float) or not 0 <= dropout < 1),
        ("bias", config.get("bias", "none") != "none"),
        ("init_lora_weights", isinstance(beginning, str) and beginning.lower().startswith(_CHANGE_THE_BASE)),
    ):
        if wrong:
            raise RunError(
                f"{path}: {key} = {config[key]!r}, which Inkstone does not compute; merge the adapter into its model with peft "
                "(merge_and_unload) and import that"
            )
    return config


def _tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of an adapter, without the beginning that all their names have."""
    path = folder / WEIGHTS
    if not path.exists():
        pickled = (folder / "adapter_model.bin").exists()
        raise RunError(
            f"{folder} has its weights only in adapter_model.bin, a pickle, which can run any code when it is opened; where "
            "you trust it, open it with peft and save it again"
            if pickled
            else f"{folder} has no {WEIGHTS}; name the folder of an adapter"
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); copy it anew") from None
    if others := [name for name in tensors if not name.startswith(PREFIX)]:
        raise RunError(f"{path}: holds {others[0]}; the names of an adapter begin with {PREFIX}")
    return {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}


def _alpha(config: Mapping[str, Any], name: str, rank: int, folder: Path) -> float:
    """alpha of one module, by the first pattern that its name ends in. Rank-stabilised, it grows with the root of the rank."""
    alpha = config.get("lora_alpha")
    try:
        for pattern, value in (config.get("alpha_pattern") or {}).items():
            if re.match(rf"(.*\.)?({pattern})$", name):
                alpha = value
                break
        alpha = float(alpha)  # type: ignore[arg-type]
    except (re.error, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{folder / CONFIG}: no alpha for {name} in lora_alpha and alpha_pattern ({error})") from None
    return alpha * math.sqrt(rank) if config.get("use_rslora") else alpha


def _short(name: str, changed: Collection[str], every: Collection[str]) -> str:
    """The last part of a module's name where all modules of that name are adapted, as peft writes it; else the whole."""
    end = name.rpartition(".")[2]
    return end if all(other in changed for other in every if other.rpartition(".")[2] == end) else name


def _whole(alpha: float) -> float | int:
    """peft writes an integer."""
    return int(alpha) if alpha == int(alpha) else alpha
