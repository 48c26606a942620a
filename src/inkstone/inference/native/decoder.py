"""A decoder on a CPU whose every pass is one call of compiled code (`decoder.cpp`).

Matrices are copied into panels of as many outputs as a register of the processor has lanes, l, as the code reads them: W (n, k)
becomes (n / l, k / s, l, s), where s inputs of each output of a panel fill a register. Kinds of numbers:

- "float32": as they are.
- "widened": bfloat16, multiplied with inputs of single precision. So are weights of single precision that were stored as
  bfloat16: no number changes, and half as many bytes come from memory.
- "bfloat16": of a model of bfloat16; its inputs are rounded to bfloat16 as well.
- "int8", "int4": of a quantised model; inputs are rounded to 8 bits, with a scale for each row (int8) or each group (int4), so that
  the product is one of integers (Dettmers et al. 2022).
"""

import ctypes
import os
from ctypes import POINTER, Structure, c_float, c_int32, c_int64, c_void_p
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.layers.kv_cache import KeyValueCache
from inkstone.layers.quantised_matrix import QuantisedEmbedding, QuantisedLinear
from inkstone.models.decoder import Block, Decoder
from inkstone.models.quantised_decoder import quantised_matrices

WEIGHTS_OF_A_THREAD = 1 << 20
KINDS = ("float32", "widened", "bfloat16", "int8", "int4")
INPUTS = {"float32": 1, "widened": 2, "bfloat16": 2, "int8": 4}  # of an output in a register


class _Matrix(Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("numbers", "scale", "offset", "sums", "bias")),
        *((name, c_int32) for name in ("panels", "k", "kind", "group")),
    ]


class _Norm(Structure):
    _fields_ = [("gain", c_void_p), ("bias", c_void_p)]


class _Block(Structure):
    _fields_ = [
        *((name, _Matrix) for name in ("qkv", "out", "up", "down")),
        *((name, _Norm) for name in ("attention", "feed_forward")),
        *((name, c_void_p) for name in ("query", "key")),
    ]


class _Decoder(Structure):
    _fields_ = [
        ("blocks", POINTER(_Block)),
        ("output", _Matrix),
        ("norm", _Norm),
        *((name, c_void_p) for name in ("embedding", "embedding_scale", "positions", "omega")),
        *((name, c_float) for name in ("eps", "gain")),
        *(
            (name, c_int32)
            for name in (
                "embedding_kind",
                "n_blocks",
                "width",
                "vocab",
                "n_heads",
                "n_kv_heads",
                "head_width",
                "gated",
                "threads",
                "cache_kind",
                "context",
            )
        ),
    ]


class _Tokens(Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("ids", "slots", "places", "wanted", "keys", "values", "scores")),
        *((name, c_int64) for name in ("rows", "n_wanted", "capacity", "n_slots")),
    ]


_home: int | None = None  # the process whose threads decode


def _forked() -> bool:
    """Whether this is a fork of the process whose threads decode: it has none of them, and would wait for them without end."""
    global _home
    _home = _home or os.getpid()
    return _home != os.getpid()


class NativeDecoder:
    """A decoder that reads any number of tokens of any rows in one call. `model` is what it was made from."""

    def __init__(self, model: Decoder, library: ctypes.CDLL, threads: int | None = None):
        self.model, self.settings, self.tokenizer = model, model.settings, model.tokenizer
        self._decode = library.inkstone_decode
        self._lanes = c_int32.in_dll(library, "inkstone_lanes").value
        self._kept: list[Any] = []  # what addresses point to
        s, norm = model.settings, model.norm
        if threads is None:  # threads meet many times a step, which pays where there is much to do between
            threads = max(1, min(torch.get_num_threads(), s.matrix_parameters() // WEIGHTS_OF_A_THREAD))
        dtype: torch.dtype = norm.weight.dtype  # type: ignore[assignment]
        exact = dtype == torch.float32 and not isinstance(model.blocks[0].qkv, QuantisedLinear)
        cache = torch.float32 if exact else torch.bfloat16  # where weights are rounded, keys and values may be
        self.cache_like = torch.empty(1, s.n_kv_heads, 0, s.head_width, dtype=cache)
        blocks = (_Block * s.n_layers)(*(self._block(block) for block in model.blocks))  # type: ignore[arg-type]
        embedding: Any = model.embedding
        scale = None
        if isinstance(embedding, QuantisedEmbedding):
            kind, table, scale = "int8", embedding.matrix.numbers, embedding.matrix.scale
        else:
            table = embedding.weight.detach()
            kind = "bfloat16" if table.dtype == torch.bfloat16 else "float32"
        positions = None if model.positions is None else model.positions.weight
        gain = 1.0 if s.rotary_scaling is None else s.rotary_scaling.gain
        self._decoder = _Decoder(
            blocks=blocks,
            output=self._matrix(model.embedding if model.head is None else model.head),
            norm=self._norm(norm),
            embedding=self._address(table.contiguous()),
            embedding_scale=self._numbers(scale),
            positions=self._numbers(positions),
            omega=None if positions is not None else self._numbers(model.omega),
            eps=s.norm_eps,
            gain=gain,
            embedding_kind=KINDS.index(kind),
            n_blocks=s.n_layers,
            width=s.width,
            vocab=s.vocab_size,
            n_heads=s.n_heads,
            n_kv_heads=s.n_kv_heads,
            head_width=s.head_width,
            gated=s.layout != "gpt2",
            threads=threads,
            cache_kind=KINDS.index(str(cache).removeprefix("torch.")),
            context=s.context,
        )
        self._kept.append(blocks)
        self._row = self._lanes * -(-s.vocab_size // self._lanes)

    def start(self, batch: int) -> KeyValueCache:
        """The decoder's own cache."""
        return self.model.start(batch)

    def step(
        self, ids: Int[Tensor, "b t"], state: KeyValueCache, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], KeyValueCache]:
        """As `Decoder.step`."""
        s, (b, t) = self.settings, ids.shape
        self.model.refuse_longer(state.length + t)
        keys, values, slots, lengths = state.laid_out(t, self.cache_like)
        places = lengths[:, None] + torch.arange(t)
        wanted = torch.arange(b * t).view(b, t)[:, -1 if last else 0 :]
        scores = self.read(ids.flatten(), slots.repeat_interleave(t), places.flatten(), wanted.flatten(), keys, values)
        state.length += t
        return scores.view(*wanted.shape, s.vocab_size), state

    def read(
        self,
        ids: Int[Tensor, " n"],
        slots: Int[Tensor, " n"],
        places: Int[Tensor, " n"],
        wanted: Int[Tensor, " m"],
        keys: list[Tensor],
        values: list[Tensor],
    ) -> Float[Tensor, "m v"]:
        """Read n tokens, each into its place of its slot of the caches (slots, g, capacity, d); log-probabilities after some of them,
        which are named in their order.

        Raises IndexError for a token, slot or place that cannot be, TypeError for caches unlike `cache_like`; then nothing was read.
        """
        if not len(ids) == len(slots) == len(places):
            raise IndexError(f"{len(ids)} tokens for {len(slots)} slots and {len(places)} places")
        if any(each.dtype != self.cache_like.dtype for each in (*keys, *values)):
            raise TypeError(f"the caches are to be of {self.cache_like.dtype}")
        scores = torch.empty(len(wanted), self._row)
        ids, slots, places, wanted = (each.long().contiguous() for each in (ids, slots, places, wanted))
        addresses = c_void_p * len(keys)
        of_keys, of_values = (addresses(*(each.data_ptr() for each in store)) for store in (keys, values))
        tokens = _Tokens(
            ids.data_ptr(),
            slots.data_ptr(),
            places.data_ptr(),
            wanted.data_ptr(),
            ctypes.addressof(of_keys),
            ctypes.addressof(of_values),
            scores.data_ptr(),
            len(ids),
            len(wanted),
            keys[0].shape[2],
            len(keys[0]),
        )
        if self._decoder.threads > 1 and _forked():
            self._decoder.threads = 1
        refused = self._decode(ctypes.byref(self._decoder), ctypes.byref(tokens))
        if refused < 0:
            raise IndexError(
                f"token {int(wanted[-refused - 1])} is not one of {len(ids)}, or not behind those before it"
            )
        if refused:
            token, slot, place = (int(each[refused - 1]) for each in (ids, slots, places))
            raise IndexError(f"token {token} is not in the vocabulary, or there is no place {place} of slot {slot}")
        return scores[:, : self.settings.vocab_size]

    def _block(self, block: Block) -> _Block:
        network: Any = block.feed_forward
        gated = hasattr(network, "gate_up")
        return _Block(
            qkv=self._matrix(block.qkv),
            out=self._matrix(block.out),
            up=self._matrix(network.gate_up if gated else network.up, gated),
            down=self._matrix(network.down),
            attention=self._norm(block.attention_norm),
            feed_forward=self._norm(block.feed_forward_norm),
            query=self._numbers(None if block.query_norm is None else block.query_norm.weight),
            key=self._numbers(None if block.key_norm is None else block.key_norm.weight),
        )

    def _norm(self, norm: nn.Module) -> _Norm:
        return _Norm(self._numbers(norm.weight), self._numbers(getattr(norm, "bias", None)))  # type: ignore[arg-type]

    def _matrix(self, module: nn.Module, gated: bool = False) -> _Matrix:
        def panels(rows: Tensor) -> Tensor:
            return in_panels(rows, self._lanes, 2 if gated else 1)

        bias: Any = getattr(module, "bias", None)
        group, scale, offset, sums = 0, None, None, None
        if isinstance(module, QuantisedLinear | QuantisedEmbedding):
            matrix = module.matrix
            kind, (_, k) = f"int{matrix.bits}", matrix.shape
            scale = panels(matrix.scale)
            if matrix.bits == 4:
                group = matrix.group
                offset = panels(matrix.offset)  # type: ignore[arg-type]
                levels = matrix.levels().view(len(matrix.scale), -1, 2, 4)
                numbers = panels(levels[:, :, 0] | levels[:, :, 1] << 4)
            else:
                numbers = panels(matrix.numbers.view(-1, k // 4, 4))
                sums = panels(matrix.numbers.float().sum(1).int())  # exact: far below 2²⁴
        else:
            weight: Tensor = module.weight.detach()  # type: ignore[union-attr, assignment]
            k = weight.shape[1]
            kind = _kind(weight)
            if kind == "widened":
                weight = weight.bfloat16()
            inputs = INPUTS[kind]
            numbers = panels(weight.reshape(-1, k // inputs, inputs))
        return _Matrix(
            numbers=self._address(numbers),
            scale=self._address(scale),
            offset=self._address(offset),
            sums=self._address(sums),
            bias=None if bias is None else self._address(panels(bias.detach().float())),
            panels=len(numbers),
            k=k,
            kind=KINDS.index(kind),
            group=group,
        )

    def _numbers(self, tensor: Tensor | None) -> int | None:
        return None if tensor is None else self._address(tensor.detach().float().contiguous())

    def _address(self, tensor: Tensor | None) -> int | None:
        if tensor is None:
            return None
        self._kept.append(tensor)
        return tensor.data_ptr()


def fits(model: Decoder) -> bool:
    """Whether the compiled code knows this shape and these types of numbers."""
    s = model.settings
    if any(n % 4 for n in (s.width, s.n_heads * s.head_width, s.hidden)):
        return False
    if s.rotary_scaling is not None and s.rotary_scaling.kind == "dynamic":
        return False
    if any(matrix.bits == 4 and matrix.group % 8 for matrix in quantised_matrices(model)):
        return False
    types = {weight.dtype for weight in model.parameters()}
    return types in ({torch.float32}, {torch.bfloat16}) and isinstance(
        model.embedding, nn.Embedding | QuantisedEmbedding
    )


def in_panels(rows: Tensor, lanes: int, halves: int = 1) -> Tensor:
    """Rows (n, ...) in panels of so many lanes, of two `halves` a panel of each in turn; rows that are missing are zeros.

    (n) becomes (panels, lanes); (n, k) and (n, k, s) become (panels, k, lanes) and (panels, k, lanes, s).
    """
    parts = []
    for part in rows.chunk(halves):
        missing = -len(part) % lanes
        part = F.pad(part, (0, 0) * (part.dim() - 1) + (0, missing)) if missing else part
        part = part.unflatten(0, (-1, lanes))
        parts.append(part if rows.dim() == 1 else part.transpose(1, 2))
    return torch.stack(parts, 1).flatten(0, 1).contiguous()


def _kind(weight: Tensor) -> str:
    if weight.dtype == torch.bfloat16:
        return "bfloat16"
    words = weight.view(torch.int32)
    # Of most matrices the first row tells that they are not.
    return "widened" if all(bool((part & 0xFFFF == 0).all()) for part in (words[:1], words)) else "float32"
