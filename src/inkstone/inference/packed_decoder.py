"""A quantised decoder on a CPU, its matrices in the order in which PyTorch's own kernels for short integers read them.

One row is multiplied with 8-bit weights as it is. Several rows are rounded to 8 bits as well, each with a scale of its own,
x ≈ r · p, so that the product is one of integers (Dettmers et al. 2022):

    y = r · s · (p qᵀ)

4-bit weights meet up to `MOST_ROWS_OF_4_BITS` rows as they are; more rows are multiplied with a copy of the weights in bfloat16.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.layers.kv_cache import KeyValueCache
from inkstone.layers.quantised_matrix import QuantisedLinear, QuantisedMatrix
from inkstone.models.decoder import Decoder
from inkstone.models.quantised_decoder import bits_of

MOST_ROWS_OF_4_BITS = 8
GROUPS_OF_KERNEL = (32, 64, 128, 256)


class PackedLinear(nn.Module):
    """y = W x + b by integer kernels; x and y in any floating type."""

    def __init__(self, matrix: QuantisedMatrix, bias: Tensor | None):
        super().__init__()
        self.matrix, self.bias = matrix, bias
        self.product = _Product8(matrix) if matrix.bits == 8 else _Product4(matrix)

    def forward(self, x: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch n"]:
        """Apply to every position alike."""
        y = self.product(x.reshape(-1, x.shape[-1])).to(x.dtype)
        y = y.view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias


class PackedDecoder(Decoder):
    """A quantised `Decoder` whose products are packed. It shares all tensors with the one that it is made from."""

    output: PackedLinear

    @classmethod
    def of(cls, model: Decoder) -> "PackedDecoder":
        """Pack a quantised model that lies on the CPU."""
        with torch.device("meta"):
            packed = cls(model.settings, model.tokenizer)
        for name, module in model.named_children():
            if name != "blocks":
                setattr(packed, name, module)
        packed.omega = model.omega
        packed.load_state_dict(dict(model.named_parameters()), strict=False, assign=True)
        for path, module in model.named_modules():
            if isinstance(module, QuantisedLinear) and path.startswith("blocks"):
                parent, _, name = path.rpartition(".")
                setattr(packed.get_submodule(parent), name, PackedLinear(module.matrix, module.bias))
        output: nn.Module = model.embedding if model.head is None else model.head
        packed.output = PackedLinear(output.matrix, None)  # type: ignore[arg-type]
        return packed.requires_grad_(False).eval()

    def step(
        self, ids: Int[Tensor, "b t"], state: KeyValueCache, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], KeyValueCache]:
        """As `Decoder.step`."""
        hidden = self.hidden(ids, cache=state)
        return self.output(hidden[:, -1:] if last else hidden).log_softmax(-1), state


def can_be_packed(model: Decoder) -> bool:
    """Whether it is quantised, lies on a CPU, and PyTorch has the kernels."""
    return (
        bits_of(model) is not None
        and model.embedding.weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.onednn, "qlinear_prepack")
    )


class _Product8:
    def __init__(self, matrix: QuantisedMatrix):
        self.numbers, self.scale = matrix.numbers, matrix.scale.float()
        self.packed = torch.ops.onednn.qlinear_prepack(matrix.numbers, None)
        self.ones = torch.ones(len(self.scale), dtype=torch.bfloat16)
        self.zeros = torch.zeros(len(self.scale), dtype=torch.int64)
        self.one, self.zero = torch.tensor(1.0), torch.tensor(0)

    def __call__(self, x: Float[Tensor, "b k"]) -> Float[Tensor, "b n"]:
        if len(x) == 1:
            # The scales outside, where they are not rounded to bfloat16.
            y = torch.ops.aten._weight_int8pack_mm(x.bfloat16(), self.numbers, self.ones)
            return y.float() * self.scale
        x = x.float()
        own = x.abs().amax(-1, keepdim=True).clamp_(min=1e-30) / 127
        levels = (x / own).round_().to(torch.int8)
        y = torch.ops.onednn.qlinear_pointwise.tensor(
            levels,
            self.one,
            self.zero,
            self.packed,
            self.scale,
            self.zeros,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        return y * own


class _Product4:
    def __init__(self, matrix: QuantisedMatrix):
        self.matrix = matrix
        self.wide: Tensor | None = None
        self.packed = None
        if matrix.group in GROUPS_OF_KERNEL and matrix.shape[0] % 16 == 0:
            levels = matrix.levels().int()
            self.packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 1)
            # (groups, n, 2), which stands for (q − 8) · s + o
            self.scales = torch.stack((matrix.scale, matrix.offset), -1).transpose(0, 1).contiguous()  # type: ignore[list-item]

    def __call__(self, x: Float[Tensor, "b k"]) -> Float[Tensor, "b n"]:
        if self.packed is not None and len(x) <= MOST_ROWS_OF_4_BITS:
            return torch.ops.aten._weight_int4pack_mm_for_cpu(x.bfloat16(), self.packed, self.matrix.group, self.scales)
        if self.wide is None:
            self.wide = torch.ops.mkldnn._reorder_linear_weight(self.matrix.dense(torch.bfloat16), 32)
        return torch.ops.mkldnn._linear_pointwise(x.bfloat16(), self.wide, None, "none", [], "")
