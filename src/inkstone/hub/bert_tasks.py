"""BERT and RoBERTa with a head for a task, and our `Headed` on an encoder, each made from the other.

    BertForSequenceClassification   "class"    scores = W tanh(P h₀ + p) + b: the first state through the pooler P
    BertForTokenClassification      "token"    scores = W hᵢ + b
    BertForQuestionAnswering        "span"     scores = W hᵢ + b, of the first and the last token of the answer
    BertModel                       "vector"   tanh(P h₀ + p), or h₀ where there is no pooler; read only

Of RoBERTa the classes of the same names are read. A body of the layout "modern" is written as a class of ESM (`esm.py`). What
transformers has no class for is refused with the way out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from inkstone.errors import CheckpointError, RunError
from inkstone.hub import bert, esm
from inkstone.hub.huggingface_config import share
from inkstone.hub.huggingface_weights import weight_files
from inkstone.models.encoder import Encoder
from inkstone.models.headed import Headed, HeadSettings

KIND_OF_LAYOUT = {"bert": "bert", "modern": "esm"}  # how the names in a checkpoint begin
_CLASSES = {kind: f"Bert{end}" for end, kind in bert.HEAD_KINDS.items() if kind != "vector"}


def with_head(body: Encoder, config: dict[str, Any], tensors: Mapping[str, Tensor], place: Path) -> Headed:
    """The body with the head of its checkpoint. Raises CheckpointError for tensors that are missing or of another shape."""
    kind, head = bert.kinds(config, place)
    assert head is not None
    found = bert.with_whole_names(kind, tensors)
    modules = _modules(kind, head)
    if head == "vector" and f"{modules['dense']}.weight" not in found:
        modules = {}
    names = {f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in modules.items() for part in ("weight", "bias")}
    if missing := sorted(set(names.values()) - found.keys()):
        raise CheckpointError(f"{place}: {', '.join(missing)}, of its head, is missing from the weights")
    labels = _labels(config, len(found[names["scores.bias"]]), place) if head in ("class", "token") else ()
    dropout = body.settings.dropout
    if config.get("classifier_dropout") is not None:
        dropout = share(config, place, "classifier_dropout", dropout)
    model = Headed(body, HeadSettings(head, labels, "first", "dense" in modules, dropout))  # type: ignore[arg-type]
    ours = dict(model.named_parameters())
    with torch.no_grad():
        for name, other in names.items():
            if found[other].shape != ours[name].shape:
                raise CheckpointError(
                    f"{place}: {other} has the shape {tuple(found[other].shape)}; the configuration asks for "
                    f"{tuple(ours[name].shape)}"
                )
            ours[name].copy_(found[other])
    return model


def is_task(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of a checkpoint that was tuned for a task: its head gives labels, tags or answers."""
    if config.get("model_type") not in bert.MODEL_TYPES:
        return False
    name = str((config.get("architectures") or [""])[0])
    return any(name.endswith(end) for end, kind in bert.HEAD_KINDS.items() if kind != "vector")


def several_labels(config: Mapping[str, Any], labels: int, place: Path) -> bool:
    """Whether a text may have any number of the labels. Raises RunError for a checkpoint that tells an amount instead."""
    problem = config.get("problem_type") or ("regression" if labels == 1 else "single_label_classification")
    if problem == "regression":
        raise RunError(f"{place}: it tells an amount (problem_type 'regression', {labels} scores), and no labels")
    return problem == "multi_label_classification"


def longest_input(folder: Path, context: int) -> int:
    """Tokens that a checkpoint is to read at once: what its tokenizer_config.json says, at most its `context`."""
    try:
        said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("model_max_length")
    except (OSError, ValueError, AttributeError):
        return context
    return min(context, int(said)) if isinstance(said, int | float) and said >= 1 else context


def pooler_of(folder: Path) -> dict[str, Tensor] | None:
    """Weight and bias of the pooler, where a folder is a checkpoint of BERT or RoBERTa that has one.

    Many that were saved as masked language models have it, which no such model uses.
    """
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return None
    if kind not in bert.MODEL_TYPES:
        return None
    pooler = {}
    for path in weight_files(folder):
        try:
            with safe_open(path, "pt") as file:
                for name in file.keys():  # noqa: SIM118 - the file is no mapping
                    before, _, part = name.rpartition(".")
                    if before in (f"{kind}.pooler.dense", "pooler.dense"):
                        pooler[part] = file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: damaged ({error}); copy it anew") from None
    return pooler if pooler.keys() == {"weight", "bias"} else None


def write(model: Headed, folder: Path, task: Mapping[str, Any]) -> None:
    """Write a body with a head and its tokenizer as a class of transformers; config.json as the last.

    `task` is what the run keeps of it: `several` labels or one, the `context`, and the `temperature`, which becomes part of
    the last layer, so that the probabilities are those that the run gives; of a run that asks a classifier by counts, too,
    the `own_temperature`, and the probabilities are those of the model alone.

    Raises RunError for what transformers has no class for.
    """
    refuse_others(model, pairs=bool(task.get("pairs")))
    body, head = model.body, model.head
    kind = KIND_OF_LAYOUT[body.settings.layout]
    if kind == "esm":
        config, whole, classes, write_with = esm.config_of(body), esm.tensors_of(body), esm.CLASSES, esm.write_with
    else:
        config = bert.config_from(body.settings, body.bias.dtype, body.tokenizer.end)
        whole, classes = bert.to_foreign(body.settings, dict(body.named_parameters())), _CLASSES
        write_with = bert.write_folder
    config |= {"architectures": [classes[head.kind]], "classifier_dropout": head.dropout}
    if head.labels:
        config["id2label"] = {str(number): label for number, label in enumerate(head.labels)}
        config["label2id"] = {label: number for number, label in enumerate(head.labels)}
    if head.kind == "class":
        config["problem_type"] = ("multi" if task.get("several") else "single") + "_label_classification"
    tensors = {name: tensor for name, tensor in whole.items() if name.startswith(f"{kind}.")}
    for ours, theirs in _modules(kind, head.kind).items():
        for part, tensor in model.get_submodule(ours).named_parameters():
            scale = (task.get("own_temperature") or task.get("temperature", 1.0)) if ours == "scores" else 1.0
            tensors[f"{theirs}.{part}"] = (tensor.detach() / scale).contiguous()
    longest = min(task.get("context", body.settings.context), body.settings.context)
    write_with(body, config, tensors, folder, {"model_max_length": longest})


def refuse_others(model: Headed, *, pairs: bool = False) -> None:
    """Raises RunError where transformers has no class for what this model is, with the way to one that it has.

    pairs: whether it reads two texts, which are told apart by their segments.
    """
    body, head = model.body, model.head
    again = "; tune again"
    bert_body = f"{again} --from an encoder of the layout 'bert', your own or a checkpoint of BERT"
    if not isinstance(body, Encoder):
        what, way = (
            f"a body of the family {body.family!r}",
            f"{again} --from an encoder, your own or a checkpoint of BERT",
        )
    elif pairs and body.settings.layout == "modern":
        what, way = "the layout 'modern' for pairs of texts", bert_body
    elif head.kind not in _CLASSES:
        what, way = f"a head of the kind {head.kind!r}", "; the run folder itself can be copied as it is"
    elif head.crf:
        what, way = "a CRF over the tags", f"{again} with task.crf=false"
    elif head.kind == "class" and not (head.pooling == "first" and head.dense):
        layer = "" if head.dense else " without a dense layer"
        what = f"the pooling {head.pooling!r}{layer} of a classifier"
        way = f"{again} with task.pooling=first and task.dense=true"
    elif head.kind != "class" and head.dense:
        what, way = "a dense layer before the scores of tokens", f"{again} with task.dense=false"
    elif head.kind == "span" and body.tokenizer.kind != "foreign":
        what = "segments that mark what the question and the context share, which this model reads answers by"
        way = f"{again} --from a checkpoint of BERT, whose segments are those of its own tokenizer"
    else:
        return
    raise RunError(f"transformers has no class with {what}{way}")


def _modules(kind: str, head: str) -> dict[str, str]:
    """The modules of our head and those of a checkpoint of this kind."""
    if head == "class" and kind in ("roberta", "esm"):
        return {"dense": "classifier.dense", "scores": "classifier.out_proj"}
    pooler = {"dense": f"{kind}.pooler.dense"} if head in ("class", "vector") else {}
    scores = {"class": "classifier", "token": "classifier", "span": "qa_outputs"}
    return pooler | ({"scores": scores[head]} if head in scores else {})


def _labels(config: Mapping[str, Any], number: int, place: Path) -> tuple[str, ...]:
    """The labels in the order of their scores. Raises RunError where their numbers are not 0, 1, 2, …"""
    named = config.get("id2label") or {str(each): f"LABEL_{each}" for each in range(number)}
    try:
        return tuple(str(named[str(each)]) for each in range(number))
    except (KeyError, TypeError):
        raise RunError(f"{place}: id2label names {named!r}, but the head has {number} scores") from None
