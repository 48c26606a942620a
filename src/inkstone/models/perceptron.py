"""Softmax regression and the multilayer perceptron, forward and backward written out by hand.

    h_0 = x,   h_k = tanh(W_k h_{k−1} + b_k),   z = W_K h_{K−1} + b_K        z the logits of the classes
    p = softmax(z),   loss = −mean ln p_y                                    y the class that it is

With no hidden layer that is softmax regression. Backward is the chain rule, from the end to the beginning; softmax
and cross-entropy together have the plain gradient p − one-hot(y):

    δ_K = (p − one-hot(y)) / b                 b the examples in the batch
    ∂/∂W_k = δ_kᵀ h_{k−1},   ∂/∂b_k = Σ δ_k
    δ_{k−1} = (δ_k W_k) (1 − h_{k−1}²)         tanh′ = 1 − tanh²

From zeros, softmax regression learns: its loss is convex. A perceptron with hidden layers does not: all h are 0, so are the
gradients of all weights, and only the last bias moves, to how frequent the classes are.

Sources: Rosenblatt 1958; Rumelhart, Hinton and Williams 1986, *Learning representations by back-propagating errors*.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError


def log_softmax(logits: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
    """ln softmax(z) = (z − max z) − ln Σ exp(z − max z): less its greatest, no exponential can overflow."""
    shifted = logits - logits.max(dim=1, keepdim=True).values
    return shifted - shifted.exp().sum(dim=1, keepdim=True).log()


def cross_entropy(logits: Float[Tensor, "b c"], classes: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    """−mean ln softmax(z)_y in nats. It takes logits: what went through a softmax before would go through a second one."""
    return -log_softmax(logits).gather(1, classes[:, None]).mean()


class Perceptron(nn.Module):
    """Layers of the given widths, `(inputs, hidden, ..., classes)`; `(inputs, classes)` is softmax regression.

    Raises RecipeError for fewer than two widths or a width below 1.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        if len(widths) < 2 or min(widths) < 1:
            raise RecipeError(f"a perceptron needs the widths of input and output at least, all above 0, not {widths}")
        sizes = list(zip(widths[1:], widths[:-1], strict=True))
        self.weights = nn.ParameterList(torch.zeros(size) for size in sizes)
        self.biases = nn.ParameterList(torch.zeros(rows) for rows, _ in sizes)

    def initialise(self, generator: torch.Generator) -> "Perceptron":
        """Weights drawn uniformly within ±√(6 / (rows + columns)) (Glorot and Bengio 2010), biases 0."""
        with torch.no_grad():
            for weight, bias in zip(self.weights, self.biases, strict=True):
                bound = math.sqrt(6 / sum(weight.shape))
                weight.uniform_(-bound, bound, generator=generator)
                bias.zero_()
        return self

    def layers(self, x: Float[Tensor, "b d"]) -> list[Tensor]:
        """h_0, h_1, ... and the logits."""
        outputs = [x]
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = outputs[-1] @ weight.T + bias
            outputs.append(z if number == last else z.tanh())
        return outputs

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
        """The logits of the classes."""
        return self.layers(x)[-1]

    @torch.no_grad()
    def gradients(self, x: Float[Tensor, "b d"], classes: Int[Tensor, " b"]) -> tuple[Float[Tensor, ""], list[Tensor]]:
        """The loss and its gradients by hand, in the order of `parameters()`: all weights, then all biases."""
        *hidden, logits = self.layers(x)
        delta = log_softmax(logits).exp()
        delta[torch.arange(len(x)), classes] -= 1
        delta /= len(x)
        weight_gradients, bias_gradients = [], []
        for weight, h in zip(reversed(list(self.weights)), reversed(hidden), strict=True):
            weight_gradients.append(delta.T @ h)
            bias_gradients.append(delta.sum(dim=0))
            delta = (delta @ weight) * (1 - h.square())  # past h_0 it is not used
        return cross_entropy(logits, classes), [*reversed(weight_gradients), *reversed(bias_gradients)]
