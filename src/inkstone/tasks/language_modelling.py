"""Language modelling: the loss is how badly the next token was foreseen."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.models.base import NextTokenModel, OwnLoss
from inkstone.tokens.batches import Batch


def training_loss(model: nn.Module, batch: Batch, generator: torch.Generator, progress: float) -> Float[Tensor, ""]:
    """What a family learns by, in nats for each predicted token: a loss of its own, or that of the next token."""
    if isinstance(model, OwnLoss):
        return model.loss(batch, generator, progress)
    assert isinstance(model, NextTokenModel)
    return next_token_loss(model, batch)


def next_token_loss(model: NextTokenModel, batch: Batch) -> Float[Tensor, ""]:
    """Mean negative log-likelihood in nats of each next token, given those before it in the same document."""
    hidden = model.hidden(batch.ids, batch.document)
    return linear_cross_entropy(hidden.flatten(0, 1), model.output_weight, batch.targets.flatten())
