"""Products with matrices that oneDNN has packed, as operators of their own that the compiler passes on.

The compiler knows both products, but only with weights that are constants of the artefact. Here weights are arguments, so that
one artefact serves every model of a shape; so it is told of operators which it turns into the same calls.

Needed only where a step is compiled: the artefact calls oneDNN itself.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor


@cache
def define() -> None:
    """Make `torch.ops.inkstone.packed_product` and `packed_int8_product` known to PyTorch."""
    library = torch.library.Library("inkstone", "DEF")
    library.define("packed_product(Tensor x, Tensor weight) -> Tensor")
    library.define(
        "packed_int8_product(Tensor x, Tensor weight, Tensor scale, Tensor zeros, Tensor one, Tensor zero) -> Tensor"
    )
    for backend in ("CPU", "MkldnnCPU"):
        library.impl("packed_product", _packed_product, backend)
        library.impl("packed_int8_product", _packed_int8_product, backend)
    library.impl("packed_product", lambda x, weight: x.new_empty(x.shape[0], weight.shape[0]), "Meta")
    library.impl(
        "packed_int8_product",
        lambda x, weight, *rest: x.new_empty(x.shape[0], weight.shape[1], dtype=torch.float32),
        "Meta",
    )
    _keep.append(library)


@cache
def teach_compiler() -> None:
    """Make both known to the compiler too."""
    define()
    from torch._inductor import mkldnn_ir
    from torch._inductor.ir import TensorBox
    from torch._inductor.lowering import register_lowering

    ops = torch.ops.inkstone

    @register_lowering(ops.packed_product.default, type_promotion_kind=None)
    def _(x, weight):
        return TensorBox.create(mkldnn_ir.LinearUnary.create(x, weight, None, "none", [], ""))

    @register_lowering(ops.packed_int8_product.default, type_promotion_kind=None)
    def _(x, weight, scale, zeros, one, zero):
        for tensor in (scale, zeros, one, zero):
            tensor.realize()
        no_bias: Any = None
        product = mkldnn_ir.QLinearPointwisePT2E.create(
            x, one, zero, weight, scale, zeros, no_bias, 1.0, 0, torch.float32, "none", [], ""
        )
        return TensorBox.create(product)


_keep: list[Any] = []  # a library is forgotten with its object


def _packed_product(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


def _packed_int8_product(x: Tensor, weight: Tensor, scale: Tensor, zeros: Tensor, one: Tensor, zero: Tensor) -> Tensor:
    return torch.ops.onednn.qlinear_pointwise.tensor(
        x, one, zero, weight, scale, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
