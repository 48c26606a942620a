"""What the head of a tuned model is like, by its body, and where its weights begin: as a checkpoint has them, or drawn."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from inkstone.models.encoder import Encoder
from inkstone.models.headed import Headed, HeadSettings, ReadsBothWays
from inkstone.recipe import TaskSection
from inkstone.training.planner import Choice

Source = Any  # the model that is tuned: a body, or one with a head already; None: there is none


def head_for(head: HeadSettings, section: TaskSection, source: Source) -> tuple[HeadSettings, list[Choice]]:
    """The head of a task on what is tuned, and the choice in words.

    Where the recipe says nothing of it, a classifier reads what the body was made to say something of the whole text by: the
    first state through a dense layer of a BERT that was trained elsewhere, the last state of a causal body, which has read
    all, the mean of ours; one that has been tuned before what it read then.
    """
    if head.kind != "class" or source is None or section.pooling is not None or section.dense is not None:
        return head, []
    body = source.body if isinstance(source, Headed) else source
    if isinstance(source, Headed) and source.head.kind == "class":
        pooling, dense, why = source.head.pooling, source.head.dense, "as the head has it that is there"
    elif isinstance(body, Encoder) and body.tokenizer.kind == "foreign":
        pooling, dense, why = "first", True, "the pooler of BERT, which its first token is for"
    elif not isinstance(body, ReadsBothWays):
        pooling, dense, why = "last", False, "the only state that has read the whole text"
    else:
        pooling, dense, why = "mean", False, "no state of it was made to stand for the whole text"
    value = f"{pooling}, through a dense layer" if dense else pooling
    return replace(head, pooling=pooling, dense=dense), [Choice("pooling", value, why)]


@torch.no_grad()
def begin_at_head(model: Headed, source: Source, pooler: Mapping[str, Tensor] | None) -> list[Choice]:
    """Put into a fresh head what fits of the head of the model that is tuned, in place; the choices in words.

    `pooler` has weight and bias of a layer that was trained on the first state. Scores are taken where they are of the same
    labels, in whatever order.
    """
    head, before = model.head, source if isinstance(source, Headed) else None
    dense = None if before is None or before.dense is None else before.dense.state_dict()
    pooling = "first" if before is None else before.head.pooling
    dense = pooler if dense is None else dense
    fits = head.pooling == pooling and head.kind in ("class", "vector")
    taken = []
    if model.dense is not None and dense is not None and fits:
        model.dense.load_state_dict(dense)
        taken.append("its dense layer")
    if before is not None and head.kind == before.head.kind == "ctc":  # its tokens come with the body
        assert model.scores is not None and before.scores is not None
        model.scores.load_state_dict(before.scores.state_dict())
        taken.append("its scores")
    elif before is not None and _same_scores(head, before.head) and (model.dense is None) == (before.dense is None):
        assert model.scores is not None and before.scores is not None
        order = [before.head.labels.index(label) for label in head.labels] if head.labels else [0, 1]
        model.scores.weight.copy_(before.scores.weight[order])
        model.scores.bias.copy_(before.scores.bias[order])
        if model.crf is not None and before.crf is not None:
            for name, weight in model.crf.named_parameters():
                other = before.crf.get_parameter(name)[order]
                weight.copy_(other[:, order] if other.dim() == 2 else other)
        taken.append("the scores of the same labels" if head.labels else "its scores")
    return [Choice("head", "goes on", f"from the model that is tuned: {' and '.join(taken)}")] if taken else []


def _same_scores(head: HeadSettings, before: HeadSettings) -> bool:
    """Whether scores of the one mean what those of the other do."""
    read = (head.pooling == before.pooling) or head.kind != "class"
    return head.kind == before.kind and head.outputs > 0 and set(head.labels) == set(before.labels) and read
