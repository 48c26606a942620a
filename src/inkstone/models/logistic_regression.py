"""Logistic regression on sparse rows, to its one best solution.

    one label of K      p(k | x) = exp z_k / Σ_j exp z_j              z_k = w_k · x + b_k
    two labels, or      p(1 | x) = σ(z) = 1 / (1 + exp(−z))           one z; for each label, where there may be several
    loss(w, b) = −Σ ln p(what it is) + ‖w‖² / 2C

    ∂loss/∂z = p − one-hot,   ∂/∂w = Xᵀ ∂loss/∂z + w / C,   ∂/∂b = Σ ∂loss/∂z

The loss is convex, and through the penalty steep enough around its minimum w* that ‖w − w*‖ ≤ C ‖∂loss/∂w‖. With rows of
length one no logit is then further than that from its best: where that is small, L-BFGS has arrived. For the intercepts,
which have no penalty, the step that Newton's method would take is added to this account.

With a `spread` s, one for each weight, w = s ∘ v and the penalty is ‖v‖² / 2C: a weight of which more is expected costs less, as
under a normal prior of deviation s √C.

Two things make it fast. An intercept sees every row, a weight few: without `INTERCEPT`, which evens their curvatures, it takes up
to four times the steps. And columns that only one row has can be one column of their common length, since at the minimum
their weights are as their values.

Sources: Berkson 1944; L-BFGS: Liu and Nocedal 1989. scikit-learn's LogisticRegression has the same minimum.
"""

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.text.sparse_rows import SparseRows

MEMORY = 10  # steps that L-BFGS remembers
CLOSE = 0.004  # the bound on the logits at which it ends: no probability is then 0.001 from its best
EVALUATIONS = 500
RECENT = 10  # evaluations that must still bring something: in single precision the bound may be out of reach
LITTLE = 1e-8  # of the loss
INTERCEPT = 4.0  # b = start + v · INTERCEPT / √(rows · p (1 − p)), p the share of the label, and v is what is sought
WIDE = 16  # outputs above which single precision is enough: three times as fast, and memory is what it costs


def matrix(rows: SparseRows, dtype: torch.dtype) -> Tensor:
    """Sparse rows as PyTorch multiplies them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        values = torch.from_numpy(rows.values).to(dtype)
        begins, columns = torch.from_numpy(rows.begins), torch.from_numpy(rows.columns)
        return torch.sparse_csr_tensor(begins, columns, values, (len(rows), rows.width), check_invariants=False)


def loss_and_slope(
    logits: Float[Tensor, "n outputs"], targets: Int[Tensor, " n"] | Float[Tensor, "n outputs"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "n outputs"]]:
    """−Σ ln p and its gradient with respect to the logits: softmax for numbers of labels, σ for a table of 0 and 1."""
    if targets.dim() == 1:
        slope = logits.softmax(dim=1)
        slope[torch.arange(len(targets)), targets] -= 1
        return F.cross_entropy(logits.double(), targets, reduction="sum"), slope
    loss = F.binary_cross_entropy_with_logits(logits.double(), targets.double(), reduction="sum")
    return loss, logits.sigmoid() - targets


class _Enough(Exception):
    """The minimum is near enough, or comes no nearer."""


class LogisticRegression:
    """Rows and what they are: `targets` are numbers of labels, or a table of 0 and 1. Each `fit` begins where the last one ended."""

    def __init__(
        self,
        rows: SparseRows,
        targets: Int[np.ndarray, " n"] | Float[np.ndarray, "n outputs"],
        outputs: int,
        spread: Float[np.ndarray, "columns outputs"] | None = None,
    ) -> None:
        """`spread` of the weights, 1 where it is not given. Of columns that only one row has it must be the same."""
        self.gathered = _Gathered(rows)
        rows = self.gathered.rows
        dtype = torch.float64 if outputs <= WIDE else torch.float32
        self.n = len(rows)
        self.forth, self.back = matrix(rows, dtype), matrix(rows.transposed(), dtype)
        self.spread = None if spread is None else torch.from_numpy(self.gathered.spread(spread)).to(dtype)
        squares = matrix(replace(rows, values=rows.values**2), dtype)
        reach = torch.ones(rows.width, 1, dtype=dtype) if self.spread is None else self.spread.square()
        self.longest = float((squares @ reach).max().sqrt()) if len(rows) else 0.0
        aim = torch.from_numpy(targets)
        self.targets = aim if aim.dim() == 1 else aim.to(dtype)
        often = (np.bincount(targets, minlength=outputs) if targets.ndim == 1 else targets.sum(axis=0)) + 0.5
        often = torch.from_numpy(often / (len(rows) + 1)).to(dtype)
        self.start = often.log() if targets.ndim == 1 else often.logit()  # the best intercepts without any weight
        self.curvature = len(rows) * often * (1 - often)  # of the loss along an intercept, there
        self.scale = INTERCEPT / self.curvature.sqrt()
        self.weights = torch.zeros(rows.width, outputs, dtype=dtype, requires_grad=True)
        self.shift = torch.zeros(outputs, dtype=dtype, requires_grad=True)

    def fit(
        self, c: float, close: float = CLOSE, report: Callable[[str], None] = lambda line: None
    ) -> tuple[Float[np.ndarray, "columns outputs"], Float[np.ndarray, " outputs"]]:
        """Weights and intercepts of the lowest loss under this C, every logit to within `close` of its best."""
        minimum = _Minimum([self.weights, self.shift])

        @torch.no_grad()
        def evaluate() -> Tensor:
            loss, bound = self._look(c)
            count = minimum.note(float(loss))
            report(f"evaluation {count}, {float(loss) / self.n:.4f} nats per text, logits to within {bound:.2g}")
            if bound <= close or minimum.is_slow() or count >= EVALUATIONS:
                raise _Enough
            return loss

        optimiser = torch.optim.LBFGS(
            [self.weights, self.shift],
            max_iter=EVALUATIONS,
            max_eval=EVALUATIONS,
            history_size=MEMORY,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )
        with suppress(_Enough):
            optimiser.step(evaluate)
        minimum.restore()
        intercepts = self.start + self.scale * self.shift.detach()
        return self.gathered.weights(self._weights().detach().double().numpy()), intercepts.double().numpy()

    def _weights(self) -> Float[Tensor, "gathered outputs"]:
        return self.weights if self.spread is None else self.weights * self.spread

    def _look(self, c: float) -> tuple[Float[Tensor, ""], float]:
        """The loss, its gradient into the parameters, and the bound on how far the logits are from their best."""
        weights, shift = self.weights, self.shift
        loss, slope = loss_and_slope(self.forth @ self._weights() + self.start + self.scale * shift, self.targets)
        loss += weights.square().sum(dtype=torch.float64) / (2 * c)
        gradient = self.back @ slope
        weights.grad = (gradient if self.spread is None else gradient.mul_(self.spread)).add_(weights, alpha=1 / c)
        shift.grad = self.scale * slope.sum(dim=0)
        newton = slope.sum(dim=0) / self.curvature
        return loss, c * self.longest * float(weights.grad.norm()) + float(newton.norm())


class _Minimum:
    """The lowest loss that was seen, and the parameters there."""

    def __init__(self, parameters: Sequence[Tensor]):
        self.parameters = parameters
        self.best = [parameter.detach().clone() for parameter in parameters]
        self.losses: list[float] = []

    def note(self, loss: float) -> int:
        """Note the loss of the parameters as they are; how many were noted."""
        if not self.losses or loss <= min(self.losses):
            for kept, parameter in zip(self.best, self.parameters, strict=True):
                kept.copy_(parameter)
        self.losses.append(loss)
        return len(self.losses)

    def is_slow(self) -> bool:
        """Whether the last evaluations brought next to nothing."""
        gain = min(self.losses[:-RECENT], default=float("inf")) - min(self.losses)
        return gain < LITTLE * min(self.losses)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the parameters back to where the loss was lowest."""
        for kept, parameter in zip(self.best, self.parameters, strict=True):
            parameter.copy_(kept)


class _Gathered:
    """The same rows with one column for all those that a row has alone."""

    def __init__(self, rows: SparseRows):
        having = np.bincount(rows.columns, minlength=rows.width)
        self.width, self.shared = rows.width, having > 1
        alone = having[rows.columns] == 1
        self.columns, owners, values = rows.columns[alone], rows.rows[alone], rows.values[alone]
        length = np.sqrt(np.bincount(owners, values**2, minlength=len(rows)))
        self.values = values / length[owners]
        own = np.flatnonzero(length)  # the rows that have columns alone
        n_shared = int(self.shared.sum())
        place = np.cumsum(self.shared) - 1
        self.own_column = n_shared + np.searchsorted(own, owners)
        self.rows = SparseRows.of(
            np.concatenate([rows.rows[~alone], own]),
            np.concatenate([place[rows.columns[~alone]], n_shared + np.arange(len(own))]),
            np.concatenate([rows.values[~alone], length[own]]),
            (len(rows), n_shared + len(own)),
        )

    def spread(self, spread: Float[np.ndarray, "columns outputs"]) -> Float[np.ndarray, "gathered outputs"]:
        """The spread of the columns that are left."""
        own = np.zeros((self.width, spread.shape[1]))
        own[self.own_column] = spread[self.columns]
        own[: int(self.shared.sum())] = spread[self.shared]
        return own[: self.rows.width]

    def weights(self, found: Float[np.ndarray, "gathered outputs"]) -> Float[np.ndarray, "columns outputs"]:
        """The weights of the columns as they were."""
        weights = np.zeros((self.width, found.shape[1]))
        weights[self.shared] = found[: int(self.shared.sum())]
        weights[self.columns] = found[self.own_column] * self.values[:, None]
        return weights
