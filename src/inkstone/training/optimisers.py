"""The optimisers of a run behind one face: a learning-rate factor, a step, and a state that can be saved."""

import torch
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.recipe import TrainSection
from inkstone.training.muon import Muon

ADAM_BETAS = (0.9, 0.95)


class Optimisers:
    """Muon for the hidden matrices and AdamW (Loshchilov & Hutter 2019) for the rest, or AdamW for all.

    Where the model computes in bfloat16, the optimisers work on single-precision copies of its weights: an update
    is often smaller than the spacing of bfloat16 numbers and would be lost.
    """

    def __init__(self, model: nn.Module, settings: TrainSection):
        self.weights = dict(model.named_parameters())
        self.masters = {
            name: weight if weight.dtype == torch.float32 else torch.nn.Parameter(weight.detach().float())
            for name, weight in self.weights.items()
        }
        assert settings.learning_rate and settings.scalar_learning_rate and settings.weight_decay is not None
        rows = matrices_of(model)
        if settings.optimizer == "muon" and not hasattr(model, "matrices"):
            raise RecipeError("train.optimizer = 'muon' is for the decoder; choose 'adamw'")
        self.parts: dict[str, torch.optim.Optimizer] = {}
        rest = dict(self.masters)
        if settings.optimizer == "muon":
            matrices = [(rest.pop(name), sizes) for name, sizes in rows.items()]
            self.parts["muon"] = Muon(matrices, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        decayed = [weight for name, weight in rest.items() if name in rows]
        plain = [weight for name, weight in rest.items() if name not in rows]
        groups = [{"params": plain, "weight_decay": 0.0}]
        if decayed:
            groups.insert(0, {"params": decayed, "weight_decay": settings.weight_decay})
        rate = settings.scalar_learning_rate if settings.optimizer == "muon" else settings.learning_rate
        self.parts["adamw"] = torch.optim.AdamW(groups, lr=rate, betas=ADAM_BETAS, fused=True)
        self.rates = {name: part.param_groups[0]["lr"] for name, part in self.parts.items()}

    def clip(self, largest: float) -> Tensor:
        """Bring the gradients to the masters, bound their norm together, and return what it was."""
        for name, weight in self.weights.items():
            if self.masters[name] is not weight and weight.grad is not None:
                self.masters[name].grad = weight.grad.float()
        return torch.nn.utils.clip_grad_norm_(self.masters.values(), largest, foreach=True)

    def step(self, factor: float) -> None:
        """One update with every learning rate times `factor`."""
        for name, part in self.parts.items():
            for group in part.param_groups:
                group["lr"] = self.rates[name] * factor
            part.step()
        self.share()

    @torch.no_grad()
    def share(self) -> None:
        """Bring the masters' values to a model of lower precision."""
        for name, weight in self.weights.items():
            if self.masters[name] is not weight:
                weight.copy_(self.masters[name])

    def zero_grad(self) -> None:
        """Forget the gradients, keeping their memory."""
        for weight in self.weights.values():
            if weight.grad is not None:
                weight.grad.zero_()

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
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take up a saved state."""
        states: dict[str, dict[int, dict[str, Tensor]]] = {name: {} for name in self.parts}
        for full, tensor in tensors.items():
            part, _, rest = full.partition(".")
            if part == "master":
                self.masters[rest].data.copy_(tensor)
            else:
                index, _, key = rest.partition(".")
                states[part].setdefault(int(index), {})[key] = tensor
        for name, part in self.parts.items():
            part.load_state_dict({**part.state_dict(), "state": states[name]})


def matrices_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The matrices that weight decay is for, with the rows of each map stacked in them; look-up tables are none."""
    if hasattr(model, "matrices"):
        return {name: sizes for name, _, sizes in model.matrices()}  # type: ignore[operator]
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    return {
        name: (weight.shape[0],)
        for name, weight in model.named_parameters()
        if weight.dim() == 2 and id(weight) not in tables
    }
