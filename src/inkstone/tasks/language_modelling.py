"""Language modelling: the loss is how badly the next token was foreseen."""

from jaxtyping import Float
from torch import Tensor

from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.models.decoder import Decoder
from inkstone.tokens.batches import Batch


def next_token_loss(model: Decoder, batch: Batch) -> Float[Tensor, ""]:
    """Mean negative log-likelihood in nats of each next token, given those before it in the same document."""
    hidden = model.hidden(batch.ids, batch.document)
    return linear_cross_entropy(hidden.flatten(0, 1), model.output_weight, batch.targets.flatten())
