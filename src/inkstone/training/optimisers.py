"""The optimisers of a run behind one face: a learning-rate factor, a step, and a state that can be saved."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from inkstone.errors import CheckpointError, RecipeError, nearest
from inkstone.layers.lora import adapted
from inkstone.recipe import TrainSection
from inkstone.training.muon import Muon

ADAM_BETAS = (0.9, 0.95)


class Optimisers:
    """Muon for the hidden matrices and AdamW (Loshchilov & Hutter 2019) for the rest, or AdamW for all.

    Where the model computes in bfloat16, the optimisers work on single-precision copies of its weights: an update
    is often smaller than the spacing of bfloat16 numbers and would be lost.

    Weights that do not require gradients have no part in it, and cost it no memory.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: TrainSection,
        factors: Mapping[str, float] | Callable[[str], float] | None = None,
    ):
        """`factors`, by the name of a weight, multiply its learning rate; a name that a mapping leaves out has 1.

        Raises RecipeError for a model of which nothing may learn, and for factors that cannot be.
        """
        self.weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        if not self.weights:
            raise RecipeError("no weight of the model may learn: all of them are frozen")
        self.factors = _factors(model, self.weights, factors)
        self.masters = {
            name: weight if weight.dtype == torch.float32 else torch.nn.Parameter(weight.detach().float())
            for name, weight in self.weights.items()
        }
        assert settings.learning_rate and settings.scalar_learning_rate and settings.weight_decay is not None
        rows, hidden = matrices_of(model), hidden_matrices(model)
        if settings.optimizer == "muon" and not hidden:
            raise RecipeError(
                "train.optimizer = 'muon', but this model has no matrices that Muon is for; choose 'adamw'"
            )
        self.parts: dict[str, torch.optim.Optimizer] = {}
        rest = dict(self.masters)
        if settings.optimizer == "muon":
            matrices = [(rest.pop(name), sizes) for name, sizes in hidden.items() if name in rest]
            if matrices:
                self.parts["muon"] = Muon(matrices, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        decayed = [weight for name, weight in rest.items() if name in rows]
        plain = [weight for name, weight in rest.items() if name not in rows]
        pairs = ((decayed, settings.weight_decay), (plain, 0.0))
        groups = [{"params": weights, "weight_decay": decay} for weights, decay in pairs if weights]
        rate = settings.scalar_learning_rate if settings.optimizer == "muon" else settings.learning_rate
        if groups:
            self.parts["adamw"] = torch.optim.AdamW(groups, lr=rate, betas=ADAM_BETAS, fused=True)
        if self.factors:
            by_weight = {id(self.masters[name]): factor for name, factor in self.factors.items()}
            for part in self.parts.values():
                _part_by_factor(part, by_weight)
        self.rates = {name: part.param_groups[0]["lr"] for name, part in self.parts.items()}

    def clip(self, largest: float) -> Tensor:
        """Bring the gradients to the masters, bound their norm together, and return what it was."""
        held, wanted = [], []
        for name, weight in self.weights.items():
            master = self.masters[name]
            if master is not weight and weight.grad is not None:
                if master.grad is None:
                    master.grad = torch.empty_like(master)
                held.append(master.grad)
                wanted.append(weight.grad)
        if held:  # all at once: on a GPU a call for each would cost more than the copies
            torch._foreach_copy_(held, wanted)  # pyright: ignore[reportPrivateImportUsage]
        return torch.nn.utils.clip_grad_norm_(self.masters.values(), largest, foreach=True)

    def step(self, factor: float) -> None:
        """One update with every learning rate times `factor`."""
        for name, part in self.parts.items():
            for group in part.param_groups:
                group["lr"] = self.rates[name] * factor * group.get("factor", 1.0)
            part.step()
        self.share()

    @torch.no_grad()
    def share(self) -> None:
        """Bring the masters' values to a model of lower precision."""
        short = [name for name, weight in self.weights.items() if self.masters[name] is not weight]
        if short:
            torch._foreach_copy_([self.weights[name] for name in short], [self.masters[name] for name in short])  # pyright: ignore[reportPrivateImportUsage]

    def zero_grad(self) -> None:
        """Forget the gradients: on a CPU their memory stays, on a GPU it costs a launch for each weight to add to it."""
        for weight in self.weights.values():
            if weight.grad is not None:
                weight.grad = weight.grad.zero_() if weight.device.type == "cpu" else None

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, but the weights of a single-precision model."""
        tensors = {}
        for name, part in self.parts.items():
            for index, state in part.state_dict()["state"].items():
                for key, value in state.items():
                    tensors[f"{name}.{index}.{key}"] = value
        for name, weight in self.weights.items():
            if self.masters[name] is not weight:
                tensors[f"master.{name}"] = self.masters[name].detach()
        for name, factor in self.factors.items():
            tensors[f"factor.{name}"] = torch.tensor(factor, dtype=torch.float64)
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take up a saved state. Raises CheckpointError for one of other weights, or of other factors, than learn now."""
        states: dict[str, dict[int, dict[str, Tensor]]] = {name: {} for name in self.parts}
        masters, factors = {}, {}
        for full, tensor in tensors.items():
            part, _, rest = full.partition(".")
            if part == "master":
                masters[rest] = tensor
            elif part == "factor":
                factors[rest] = tensor.item()
            else:
                index, _, key = rest.partition(".")
                states.setdefault(part, {}).setdefault(int(index), {})[key] = tensor
        self._refuse_others(states, masters, factors)
        for name, tensor in masters.items():
            self.masters[name].data.copy_(tensor)
        for name, part in self.parts.items():
            part.load_state_dict({**part.state_dict(), "state": states[name]})

    def _refuse_others(
        self,
        states: Mapping[str, Mapping[int, Mapping[str, Tensor]]],
        masters: Mapping[str, Tensor],
        factors: Mapping[str, float],
    ) -> None:
        """A state is saved by the place of a weight among those that learn, so that these must be the same ones."""
        shapes = {
            name: [w.shape for group in part.param_groups for w in group["params"]] for name, part in self.parts.items()
        }
        fits = states.keys() <= shapes.keys() and (masters.keys() | factors.keys()) <= self.masters.keys()
        fits = fits and all(
            index < len(shapes[part]) and all(tensor.shape in ((), shapes[part][index]) for tensor in state.values())
            for part, saved in states.items()
            for index, state in saved.items()
        )
        if not fits:
            raise CheckpointError(
                "the optimisers' state is of other weights than those that learn now; freeze the same ones, and choose the "
                "same optimizer, as when it was saved"
            )
        for name in sorted(factors.keys() | self.factors.keys()):
            then, now = factors.get(name, 1.0), self.factors.get(name, 1.0)
            if then != now:
                raise CheckpointError(
                    f"the optimisers' state was saved with other factors on the learning rate: that of {name} was {then:g} "
                    f"and is {now:g} now; give the same ones"
                )


def layer_decay(model: nn.Module, decay: float) -> dict[str, float]:
    """Factors on the learning rate that fall from the output to the input (Howard & Ruder 2018; Clark et al. 2020).

    Weights above the blocks, the head among them, have 1; the top block has `decay`, each block below it `decay` times
    that, and the embeddings `decay` times the factor of the lowest. So what lies near the input, and is of use to every
    task, changes least. Encoder and decoder are counted each from its own top. An embedding that is the output matrix too is
    an embedding here.

    Raises RecipeError for a decay outside of (0, 1].
    """
    if not 0 < decay <= 1:
        raise RecipeError(f"a layer decay of {decay}, but it must be above 0 and at most 1, where all learn alike")
    modules = dict(model.named_modules())
    stacks = {path: len(module) for path, module in modules.items() if isinstance(module, nn.ModuleList)}
    tables = {id(module.weight) for module in modules.values() if isinstance(module, nn.Embedding)}
    lowest = decay ** (max(stacks.values(), default=0) + 1)
    factors = {}
    for name, weight in model.named_parameters():
        stack = next((path for path in stacks if name.startswith(f"{path}.")), None)
        if stack is not None:
            factors[name] = decay ** (stacks[stack] - int(name.removeprefix(f"{stack}.").partition(".")[0]))
        else:
            below = id(weight) in tables or re.search(r"(^|[._])embedding_norm\.", name)
            factors[name] = lowest if below else 1.0
    return factors


def hidden_matrices(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The matrices that Muon is for, of a model with a head those of its body, with the rows of each map stacked in them."""
    if hasattr(model, "matrices"):
        return matrices_of(model)
    body = getattr(model, "body", None)
    return {f"body.{name}": sizes for name, sizes in hidden_matrices(body).items()} if body is not None else {}


def matrices_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The matrices that weight decay is for, with the rows of each map stacked in them; look-up tables are none."""
    if hasattr(model, "matrices"):
        rows = {name: sizes for name, _, sizes in model.matrices()}  # type: ignore[operator]
        for path, layer in adapted(model).items():  # of low-rank changes each factor is a map of its own
            rows |= {name: (len(factor),) for name, factor in layer.changes.named_parameters(f"{path}.changes")}
            rows |= {name: layer.rows for name in (f"{path}.base.weight",) if name in rows}
        return rows
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    return {
        name: (weight.shape[0],)
        for name, weight in model.named_parameters()
        if weight.dim() == 2 and id(weight) not in tables
    }


def _factors(
    model: nn.Module, weights: Mapping[str, Tensor], factors: Mapping[str, float] | Callable[[str], float] | None
) -> dict[str, float]:
    """The factor of each weight that learns; nothing where none were given."""
    if factors is None:
        return {}
    if isinstance(factors, Mapping):
        names = dict(model.named_parameters())
        for name in factors:
            if name not in names:
                raise RecipeError(
                    f"a factor on the learning rate of {name!r}, which the model has not; {nearest(name, names)}"
                )
        given = {name: factors.get(name, 1.0) for name in weights}
    else:
        given = {name: factors(name) for name in weights}
    for name, factor in given.items():
        if not 0 <= factor < math.inf:
            raise RecipeError(f"a factor of {factor} on the learning rate of {name}; it must be a number of at least 0")
    return {name: float(factor) for name, factor in given.items()}


def _part_by_factor(part: torch.optim.Optimizer, factors: Mapping[int, float]) -> None:
    """Divide the groups of an optimiser so that the weights of each have the same factor."""
    groups = []
    for group in part.param_groups:
        shares = defaultdict(list)
        for weight in group["params"]:
            shares[factors[id(weight)]].append(weight)
        groups += [{**group, "params": weights, "factor": factor} for factor, weights in shares.items()]
    part.param_groups = groups
