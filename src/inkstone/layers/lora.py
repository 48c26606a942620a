"""Low-rank adaptation: a matrix is tuned by a product of two thin ones, and itself stays as it is (Hu et al. 2021).

    y = W x + (alpha / r) B A dropout(x),        A: r × columns, gaussian; B: rows × r, zero at first

Only A and B learn: r (rows + columns) numbers instead of rows · columns. Since B begins at zero, tuning begins at the
model as it was; without B A it is that model again; and W + (alpha / r) B A is a matrix like any other, once tuning is over.

Where several maps are stacked in one matrix (queries, keys and values; gate and up), each has an A and a B of its own.
Side by side they are still one product of two thin matrices,

    ΔW = diag(s₁B₁, s₂B₂, …) [A₁; A₂; …],        s = alpha / r,  diag: blocks along the diagonal, zeros elsewhere

so that a stack costs two more products whatever the number of its maps.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from inkstone.errors import RecipeError, nearest


class LowRank(nn.Module):
    """The change of one map, ΔW = (alpha / r) B A."""

    def __init__(self, A: Float[Tensor, "r columns"], B: Float[Tensor, "rows r"], alpha: float):
        super().__init__()
        self.A, self.B, self.alpha = nn.Parameter(A), nn.Parameter(B), alpha

    @classmethod
    def drawn(cls, rows: int, rank: int, alpha: float, generator: torch.Generator, like: Tensor) -> "LowRank":
        """B zero and A with standard deviation 1/√columns, for so many rows of the matrix `like`."""
        A = torch.randn(rank, like.shape[1], generator=generator) / math.sqrt(like.shape[1])
        return cls(A.to(like), like.new_zeros(rows, rank), alpha)

    @property
    def rank(self) -> int:
        """Columns of B, and rows of A."""
        return self.A.shape[0]

    @property
    def scale(self) -> float:
        """What B A is multiplied with. A constant alpha keeps the rate of learning about the same whatever the rank."""
        return self.alpha / self.rank


class LoRALinear(nn.Module):
    """A linear layer whose weight stays, with a change of low rank beside it.

    `rows` are those of each map stacked in the layer, `changes` the change of each by its place; a map may have none.
    Dropout is on the input of the changes alone, the same for all maps of a stack.
    """

    def __init__(self, base: nn.Linear, rows: Sequence[int], changes: Mapping[int, LowRank], dropout: float = 0.0):
        super().__init__()
        if sum(rows) != base.out_features:
            raise ValueError(f"maps of {tuple(rows)} rows do not make up {base.out_features}")
        for place, change in changes.items():
            if (len(change.B), change.A.shape[1]) != (rows[place], base.in_features):
                raise ValueError(
                    f"a change of {len(change.B)} × {change.A.shape[1]} for a map of {rows[place]} × {base.in_features}"
                )
        self.base, self.rows, self.dropout, self.on = base, tuple(rows), dropout, True
        self.changes = nn.ModuleDict({str(place): changes[place] for place in sorted(changes)})

    def forward(self, x: Float[Tensor, "*batch columns"]) -> Float[Tensor, "*batch rows"]:
        """W x + b + ΔW dropout(x); W x + b alone inside `lora_off`."""
        y = self.base(x)
        if not self.on:
            return y
        B, A = self.factors()
        return y + F.linear(F.linear(F.dropout(x, self.dropout, self.training), A), B)

    def change_of(self, place: int) -> LowRank | None:
        """The change of one map of the stack."""
        return dict(self.changes.items()).get(str(place))  # type: ignore[return-value]

    def factors(self) -> tuple[Float[Tensor, "rows r"], Float[Tensor, "r columns"]]:
        """The two matrices whose product is ΔW; r is here the sum of all ranks."""
        changes = [self.change_of(place) for place in range(len(self.rows))]
        blocks = [
            self.base.weight.new_zeros(rows, 0) if change is None else change.scale * change.B
            for rows, change in zip(self.rows, changes, strict=True)
        ]
        A = torch.cat([change.A for change in changes if change is not None])
        return blocks[0] if len(blocks) == 1 else torch.block_diag(*blocks), A

    @property
    def weight(self) -> Float[Tensor, "rows columns"]:
        """W + ΔW as one matrix, summed in single precision at least; W inside `lora_off`."""
        W = self.base.weight
        if not self.on:
            return W
        precision = torch.promote_types(W.dtype, torch.float32)
        B, A = self.factors()
        return (W.to(precision) + B.to(precision) @ A.to(precision)).to(W.dtype)

    @property
    def bias(self) -> Float[Tensor, " rows"] | None:
        """The bias of the layer, which does not change."""
        return self.base.bias

    def extra_repr(self) -> str:
        """For printing."""
        return f"rows={self.rows}, dropout={self.dropout}, on={self.on}"


def add_lora(
    model: nn.Module,
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    targets: Sequence[str] | None = None,
    *,
    generator: torch.Generator,
    also: Sequence[str] = (),
) -> nn.Module:
    """Put low-rank changes beside linear layers of a model, in place, and freeze all else; the model.

    `targets` names the layers by the end of their path ("qkv", "feed_forward.down"); by default they are the model's
    hidden matrices. `also` names modules or weights that learn as a whole beside them, such as a new head ("head").

    Raises RecipeError for a name that the model does not have, a model whose matrices are not linear layers, or one that
    is adapted already.
    """
    if rank < 1 or not 0 <= dropout < 1 or not 0 < alpha < math.inf:
        raise RecipeError(
            f"rank = {rank}, alpha = {alpha}, dropout = {dropout}; allowed are a rank of at least 1, an alpha above 0 and "
            "a dropout from 0 to below 1"
        )
    stacks = stacked_maps(model)
    paths = list(stacks) if targets is None else _named(model, targets)
    layers = {}
    for path in paths:
        base = model.get_submodule(path)
        assert isinstance(base, nn.Linear)
        rows = stacks.get(path, (base.out_features,))
        changes = {i: LowRank.drawn(n, rank, alpha, generator, base.weight) for i, n in enumerate(rows)}
        layers[path] = LoRALinear(base, rows, changes, dropout)
    return adapt(model, layers, also)


def adapt(model: nn.Module, layers: Mapping[str, LoRALinear], also: Sequence[str] = ()) -> nn.Module:
    """Put these layers in the place of those that they are around, by path, and freeze all but their A and B and `also`."""
    learning = {name: weight for name, weight in model.named_parameters() if _below(name, also)}
    for other in also:
        if not any(_below(name, [other]) for name in learning):
            names = {".".join(name.split(".")[:depth]) for name, _ in model.named_parameters() for depth in (1, 2, 3)}
            raise RecipeError(f"the model has no weights {other!r}; {nearest(other, names)}")
    model.requires_grad_(False)
    for path, layer in layers.items():
        model.set_submodule(path, layer.train(model.training))
        layer.changes.requires_grad_(True)
    for weight in learning.values():
        weight.requires_grad_(True)
    return model


def merge_lora(model: nn.Module) -> nn.Module:
    """Put the sum of weight and change in the place of each adapted layer, in place; the model, plain again.

    All its weights can learn again. A model without changes stays as it is.
    """
    for path, layer in adapted(model).items():
        before, layer.on = layer.on, True
        try:
            layer.base.weight = nn.Parameter(layer.weight.detach())
        finally:
            layer.on = before
        model.set_submodule(path, layer.base)
    return model.requires_grad_(True)


@contextmanager
def lora_off(model: nn.Module) -> Iterator[nn.Module]:
    """The model without its changes while the block lasts: the reference that a tuned model is compared with.

    What learned as a whole beside them stays as it is. Raises RecipeError for a model that has no changes, which would be
    compared with itself.
    """
    layers = list(adapted(model).values())
    if not layers:
        raise RecipeError("the model has no low-rank changes to leave out; add them with add_lora first")
    before = [layer.on for layer in layers]
    try:
        for layer in layers:
            layer.on = False
        yield model
    finally:
        for layer, on in zip(layers, before, strict=True):
            layer.on = on


def lora_state(model: nn.Module) -> dict[str, Tensor]:
    """Every A and B by its name in the model, and whatever else learns; `load_state_dict(…, strict=False)` takes it up."""
    inside = {id(weight) for layer in adapted(model).values() for weight in layer.changes.parameters()}
    return {
        name: weight.detach()
        for name, weight in model.named_parameters()
        if weight.requires_grad or id(weight) in inside
    }


def adapted(model: nn.Module) -> dict[str, LoRALinear]:
    """The adapted layers of a model, by path."""
    return {path: module for path, module in model.named_modules() if isinstance(module, LoRALinear)}


def stacked_maps(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The linear layers that hold the hidden matrices of a model, or of a model inside it, with the rows of their maps.

    Raises RecipeError where there are none, where some are not linear layers, or where they are adapted already.
    """
    if adapted(model):
        raise RecipeError("the model has low-rank changes already; merge them first with merge_lora")
    rows, elsewhere, family = {}, False, getattr(model, "family", type(model).__name__)
    for prefix, home in model.named_modules():
        if not hasattr(home, "matrices"):
            continue
        family = getattr(home, "family", family)
        for name, _, sizes in home.matrices():  # type: ignore[operator]
            path, _, kind = f"{prefix}.{name}".removeprefix(".").rpartition(".")
            linear = kind == "weight" and isinstance(model.get_submodule(path), nn.Linear)
            elsewhere |= not linear
            if linear:
                rows[path] = sizes
    if elsewhere or not rows:
        raise RecipeError(
            f"{family!r} does not keep its hidden matrices in linear layers, which low-rank adaptation is for; those of the "
            "families decoder, encoder, encoder_decoder and neural_ngram are. Tune all weights instead"
        )
    return rows


def _named(model: nn.Module, targets: Sequence[str]) -> list[str]:
    """The linear layers whose path ends in one of `targets`."""
    paths = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    for target in targets:
        if not any(f".{path}".endswith(f".{target}") for path in paths):
            ends = {path.rpartition(".")[2] for path in paths}
            raise RecipeError(f"the model has no linear layer {target!r}; {nearest(target, ends)}")
    return [path for path in paths if any(f".{path}".endswith(f".{target}") for target in targets)]


def _below(name: str, places: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{place}.") for place in places)
