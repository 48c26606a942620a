"""A decoder that reads one token a row in the fastest way that is known here, and longer texts as it always did.

Three ways give the same log-probabilities up to rounding, each faster than the one before, and each falls back on it:
the decoder itself; its matrices packed for the kernels of the CPU (`single_token.py`, `packed_decoder.py`); the whole step
compiled (`compiled_step.py`), where it was compiled before.

Weights that are stored as bfloat16, and were widened on opening, are read as bfloat16 again: no number changes, and half as
many bytes come from memory.
"""

import atexit
import subprocess
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from inkstone.inference.compiled_step import StepPlan, StepRunner, build_apart, compiler, find
from inkstone.inference.step_graph import Kinds
from inkstone.layers.kv_cache import KeyValueCache
from inkstone.layers.quantised_matrix import QuantisedEmbedding, QuantisedLinear, QuantisedMatrix
from inkstone.models.base import LanguageModel
from inkstone.models.decoder import Block, Decoder

LEAST_READ = 2  # tokens before a compiled step: it was compiled for any number from here on


class FastDecoder:
    """A decoder on a CPU. `eager` reads what the compiled step does not, and everything as long as there is none."""

    def __init__(self, model: Decoder, eager: LanguageModel):
        self.model, self.eager = model, eager
        self.settings, self.tokenizer = model.settings, model.tokenizer
        self._steps: dict[bool, _BoundStep | None] = {}
        self._under_way: list[tuple[bool, subprocess.Popen]] = []

    def start(self, batch: int) -> KeyValueCache:
        """The decoder's own cache."""
        return self.model.start(batch)

    def step(
        self, ids: Int[Tensor, "b t"], state: KeyValueCache, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], KeyValueCache]:
        """As `Decoder.step`."""
        if ids.shape[1] == 1 and state.length >= LEAST_READ and (step := self._step_for(len(ids))):
            scores = step(ids[:, 0], state)
            state.length += 1
            return scores[:, None], state
        return self.eager.step(ids, state, last)

    def compile(self, rows: int) -> None:
        """Have the step for so many rows compiled, and wait for it. Raises InkstoneError where that cannot be."""
        from inkstone.inference.compiled_step import build

        single = rows == 1
        if self._step_for(rows) is None:
            build(_plan(self.model, single))
            self._steps[single] = self._found(single)

    def compile_beside(self) -> None:
        """Have both steps compiled by other processes, beside whatever goes on; each is used once it is there."""
        if compiler() is None or self._under_way:
            return
        self._under_way = [
            (single, build_apart(_plan(self.model, single)))
            for single in (True, False)
            if self._step_for(1 if single else 2) is None
        ]
        atexit.register(self.close)

    def close(self) -> None:
        """Stop what compiles beside."""
        for _, process in self._under_way:
            process.kill()
            process.wait()
        self._under_way = []

    @property
    def compiled(self) -> dict[str, bool]:
        """Whether the step is compiled for one row, and for several."""
        return {"one row": self._step_for(1) is not None, "several": self._step_for(2) is not None}

    def _step_for(self, rows: int) -> "_BoundStep | None":
        single = rows == 1
        for entry in [entry for entry in self._under_way if entry[1].poll() is not None]:
            self._under_way.remove(entry)
            self._steps.pop(entry[0], None)
        if single not in self._steps:
            self._steps[single] = self._found(single)
        return self._steps[single]

    def _found(self, single: bool) -> "_BoundStep | None":
        plan = _plan(self.model, single)
        runner = find(plan)
        return None if runner is None else _BoundStep(runner, plan, self.model)


class _BoundStep:
    """A compiled step with the weights of a model."""

    def __init__(self, runner: StepRunner, plan: StepPlan, model: Decoder):
        self.runner, self.blocks = runner, plan.blocks
        self.embedding, self.positions, self.omega = model.embedding, model.positions, model.omega
        weights = [_weights(block, plan) for block in model.blocks]  # type: ignore[arg-type]
        self.parts = [
            tree_leaves(weights[first : first + plan.blocks]) for first in range(0, len(weights), plan.blocks)
        ]
        self.output = tree_leaves((_norm(model.norm), _matrix(_output(model), plan.head)))
        self.places = torch.arange(64)

    def __call__(self, ids: Int[Tensor, " b"], state: KeyValueCache) -> Float[Tensor, "b v"]:
        keys, values, slots, lengths = state.laid_out()
        while len(self.places) < state.length:
            self.places = torch.arange(2 * len(self.places))
        places = self.places[: state.length]
        x = self.embedding(ids).float()
        if self.positions is not None:
            x = x + F.embedding(lengths, self.positions.weight).float()
        for number, weights in enumerate(self.parts):
            mine = slice(number * self.blocks, (number + 1) * self.blocks)
            given = [x, slots, lengths, places, self.omega, *keys[mine], *values[mine], *weights]
            x = self.runner.blocks(given)[0]
        return self.runner.head([x, *self.output])[0]


def fast_decoder(model: Decoder, rows: int, slots: bool = False) -> LanguageModel:
    """The fastest way known to write with a decoder, in about so many rows; the model itself where there is no other.

    With `slots` rows have lengths of their own (`layers/slot_cache.py`).
    """
    from inkstone.inference.packed_decoder import PackedDecoder, can_be_packed
    from inkstone.inference.single_token import SingleToken, spare_memory_for

    if model.omega.device.type != "cpu":
        return model
    eager: LanguageModel = model
    if can_be_packed(model):
        eager = PackedDecoder.of(model)
    elif not slots and _is_plain(model, torch.float32) and model.positions is None and spare_memory_for(model):
        eager = SingleToken(model, rows)
    elif not (_is_plain(model, torch.bfloat16) or _is_plain(model, torch.float32)):
        return model
    if model.settings.rotary_scaling is not None and not model.settings.rotary_scaling.fixed:
        return eager  # the compiled step turns by `omega` alone
    return FastDecoder(model, eager)


def _is_plain(model: Decoder, dtype: torch.dtype) -> bool:
    return all(weight.dtype == dtype for weight in model.parameters()) and isinstance(model.embedding, nn.Embedding)


def _plan(model: Decoder, single: bool) -> StepPlan:
    block: Any = model.blocks[0]
    network = block.feed_forward
    up = network.up if model.positions is not None else network.gate_up
    kinds = Kinds(*(_kind(module, single) for module in (block.qkv, block.out, up, network.down)))
    norm: Any = model.norm
    cache = torch.float32 if isinstance(model.embedding, QuantisedEmbedding) else norm.weight.dtype
    return StepPlan.of(model.settings, kinds, _kind(_output(model), single), single, cache)


def _output(model: Decoder) -> nn.Module:
    return model.embedding if model.head is None else model.head


def _kind(module: nn.Module, single: bool) -> str:
    if isinstance(module, QuantisedLinear | QuantisedEmbedding):
        if single:
            return f"int{module.matrix.bits}"
        return "onednn-int8" if module.matrix.bits == 8 else "onednn-bfloat16"
    weight: Any = module.weight
    if single:
        return "bfloat16" if _fits_bfloat16(weight) else "float32"
    return "onednn-bfloat16" if weight.dtype == torch.bfloat16 else "onednn-float32"


def _fits_bfloat16(weight: Tensor) -> bool:
    return weight.dtype == torch.bfloat16 or bool((weight.view(torch.int32) & 0xFFFF == 0).all())


def _matrix(module: nn.Module, kind: str) -> tuple[Tensor, ...]:
    """The tensors of a matrix of a kind (`step_graph.py`)."""
    if kind == "onednn-int8":
        matrix: QuantisedMatrix = module.matrix  # type: ignore[assignment]
        packed = torch.ops.onednn.qlinear_prepack(matrix.numbers, None)
        zeros = torch.zeros(matrix.shape[0], dtype=torch.int64)
        return (packed, matrix.scale.float(), zeros, torch.tensor(1.0), torch.tensor(0))
    if kind in ("int8", "int4"):
        matrix = module.matrix  # type: ignore[assignment]
        if kind == "int8":
            return (matrix.numbers, matrix.scale.float())
        return (matrix.numbers, matrix.scale, matrix.offset)  # type: ignore[return-value]
    weight: Tensor = module.weight.detach()  # type: ignore[union-attr, assignment]
    weight = weight.to(torch.bfloat16 if kind.endswith("bfloat16") else torch.float32).contiguous()
    return (torch.ops.mkldnn._reorder_linear_weight(weight, 8),) if kind.startswith("onednn") else (weight,)


def _norm(norm: nn.Module) -> tuple[Tensor, ...]:
    bias = getattr(norm, "bias", None)
    gain: Any = norm.weight
    return (gain.detach().float(),) if bias is None else (gain.detach().float(), bias.detach().float())


def _weights(block: Block, plan: StepPlan) -> dict[str, Any]:
    """The arguments of a block, in the order of `compiled_step.block_arguments`."""
    network: Any = block.feed_forward
    up = network.up if plan.settings.layout == "gpt2" else network.gate_up
    kinds = plan.kinds
    weights: dict[str, Any] = {
        "attention_norm": _norm(block.attention_norm),
        "qkv": _matrix(block.qkv, kinds.qkv),
        "out": _matrix(block.out, kinds.out),
        "norm": _norm(block.feed_forward_norm),
        "up": _matrix(up, kinds.up),
        "down": _matrix(network.down, kinds.down),
    }
    if block.query_norm is not None and block.key_norm is not None:
        weights |= {"query_norm": _norm(block.query_norm)[0], "key_norm": _norm(block.key_norm)[0]}
    for names, pair in (
        (("qkv_bias", "out_bias"), (block.qkv, block.out)),
        (("up_bias", "down_bias"), (up, network.down)),
    ):
        biases: list[Any] = [module.bias for module in pair]
        if biases[0] is not None:
            weights |= {name: bias.detach().float() for name, bias in zip(names, biases, strict=True)}
    return weights
