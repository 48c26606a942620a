"""Cross-entropy of a linear output layer that never holds all logits at once.

    loss = −(1/n) Σᵢ log softmax(W hᵢ)[yᵢ]

With a vocabulary of v, the logits of n tokens are n·v numbers, often the largest tensor of a training step, and
autograd would keep them twice. Here rows go through in chunks; the gradients with respect to h and W are computed
in the same pass, while a chunk's logits are still in the cache (the idea of Cut Your Losses, Wijmans et al. 2024,
and of Liger Kernel, Hsu et al. 2024).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK_NUMBERS = 1 << 20  # logits held at once: 4 MB in single precision
CHUNK_NUMBERS_ON_GPU = 1 << 27  # there 512 MB, since each chunk costs some ten launches, however small it is


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int) -> Tensor:
        n = hidden.shape[0]
        needs_hidden, needs_weight = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        grad_hidden = torch.empty_like(hidden) if needs_hidden else None
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device) if needs_weight else None
        total = torch.zeros((), dtype=torch.float64, device=hidden.device)
        for start in range(0, n, chunk):
            rows = hidden[start : start + chunk]
            wanted = targets[start : start + chunk, None]
            logits = (rows @ weight.T).float()
            log_norm = logits.logsumexp(-1, keepdim=True)
            total += (log_norm - logits.gather(1, wanted)).sum(dtype=torch.float64)
            if grad_hidden is None and grad_weight is None:
                continue
            slope = logits.sub_(log_norm).exp_()  # softmax − one-hot, the derivative of the loss by the logits
            slope.scatter_add_(1, wanted, slope.new_full((1, 1), -1.0).expand(len(rows), 1))
            slope = slope.mul_(1 / n).to(hidden.dtype)
            if grad_hidden is not None:
                torch.mm(slope, weight, out=grad_hidden[start : start + chunk])
            if grad_weight is not None:
                if grad_weight.dtype == slope.dtype:
                    grad_weight.addmm_(slope.T, rows)
                else:
                    grad_weight += slope.T @ rows
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.weight_dtype = weight.dtype
        return (total / n).float()

    @staticmethod
    def backward(ctx, *grads: Tensor):
        (grad,) = grads
        grad_hidden, grad_weight = ctx.saved_tensors
        if grad_hidden is not None:
            grad_hidden = grad_hidden * grad.to(grad_hidden.dtype)
        if grad_weight is not None:
            grad_weight = (grad_weight * grad).to(ctx.weight_dtype)
        return grad_hidden, grad_weight, None, None


def linear_cross_entropy(
    hidden: Float[Tensor, "n width"], weight: Float[Tensor, "v width"], targets: Int[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood in nats of `targets` under softmax(hidden weightᵀ).

    Equal to `F.cross_entropy(hidden @ weight.T, targets)`, with gradients for `hidden` and `weight`.
    """
    return _LinearCrossEntropy.apply(hidden, weight, targets, _rows_at_once(weight))


class _TokenNats(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int) -> Tensor:
        nats = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        for start in range(0, len(hidden), chunk):
            rows = slice(start, start + chunk)
            logits = (hidden[rows] @ weight.T).float()
            nats[rows] = logits.logsumexp(-1) - logits.gather(1, targets[rows, None])[:, 0]
        ctx.save_for_backward(hidden, weight, targets)
        ctx.chunk = chunk
        return nats

    @staticmethod
    def backward(ctx, *grads: Tensor):
        (grad,) = grads
        hidden, weight, targets = ctx.saved_tensors
        needs_hidden, needs_weight = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        grad_hidden = torch.empty_like(hidden) if needs_hidden else None
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device) if needs_weight else None
        for start in range(0, len(hidden), ctx.chunk):
            rows = slice(start, start + ctx.chunk)
            slope = (hidden[rows] @ weight.T).float().softmax(-1)
            wanted = targets[rows, None]
            slope.scatter_add_(1, wanted, slope.new_full((1, 1), -1.0).expand(len(wanted), 1))
            slope = slope.mul_(grad[rows, None]).to(hidden.dtype)
            if grad_hidden is not None:
                grad_hidden[rows] = slope @ weight
            if grad_weight is not None:
                grad_weight += slope.T @ hidden[rows]
        return grad_hidden, None if grad_weight is None else grad_weight.to(weight.dtype), None, None


def token_nats(
    hidden: Float[Tensor, "n width"], weight: Float[Tensor, "v width"], targets: Int[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """−log softmax(W hᵢ)[yᵢ] of each row, in nats.

    Equal to `F.cross_entropy(hidden @ weight.T, targets, reduction="none")`. What each row will count for is not known before
    the backward pass, so that this makes the logits of a chunk a second time: a third product for a loss that is no mean.
    """
    return _TokenNats.apply(hidden, weight, targets, _rows_at_once(weight))


def smoothed_nats(
    hidden: Float[Tensor, "n width"], weight: Float[Tensor, "v width"], targets: Int[Tensor, " n"], smoothing: float
) -> Float[Tensor, " n"]:
    """The nats of each row against a target that has 1 − ε, with ε spread over all v (Szegedy et al. 2016).

    As Σⱼ log softmax(z)ⱼ / v is the mean logit less the norm, −log softmax(z)[y] + ε (z[y] − mean z): beside `token_nats` one product
    with the mean row of `weight`. Equal to `F.cross_entropy` with `label_smoothing`.
    """
    nats = token_nats(hidden, weight, targets)
    if not smoothing:
        return nats
    rows = hidden.float()
    return nats + smoothing * ((rows * weight[targets].float()).sum(-1) - rows @ weight.float().mean(0))


def _rows_at_once(weight: Float[Tensor, "v width"]) -> int:
    numbers = CHUNK_NUMBERS if weight.device.type == "cpu" else CHUNK_NUMBERS_ON_GPU
    return max(64, numbers // weight.shape[0])
