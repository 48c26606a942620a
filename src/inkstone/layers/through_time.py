"""A recurrent cell read through a whole sequence, and back-propagation through time written out (Werbos 1990).

Autograd would keep and walk back a graph of every step, and add a product of a few rows to the gradient of W at each.
Here the backward pass is written by hand: what each step multiplies its incoming derivative with is computed for all
steps at once, the loop back carries only ∂L/∂h (and ∂L/∂c), and the gradient of W is one large product at the end.

A row whose document begins at a step reads zeros there instead of the state before it, so a boundary costs two small
products. Tensors are time-major: (t, b, ·). `projected` is W_ih x + b for all steps; `weight` is W_hh. The cells with
their formulas stand in `recurrent.py`.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def _marked(keep: Tensor | None, steps: int) -> list[Tensor | None]:
    """The factor (b, 1) on the state before each step, None where no row begins a document."""
    if keep is None:
        return [None] * steps
    some = (keep == 0).flatten(1).any(1).tolist()
    return [factor if begins else None for factor, begins in zip(keep.unbind(0), some, strict=True)]


def _read(states: Tensor, keep: Tensor | None) -> Tensor:
    """What each step read: the state after the step before, or zeros where a document begins."""
    return states[:-1] if keep is None else states[:-1] * keep


def _weight_gradient(slopes: Tensor, read_states: Tensor) -> Tensor:
    """Σ over steps and rows of slope ⊗ state, the gradient of W_hh."""
    return slopes.flatten(0, 1).T @ read_states.flatten(0, 1)


class _ElmanThroughTime(torch.autograd.Function):
    @staticmethod
    def forward(ctx, projected: Tensor, h: Tensor, weight: Tensor, keep: Tensor | None) -> Tensor:
        turned = weight.T.contiguous()
        states = projected.new_empty(len(projected) + 1, *h.shape)
        states[0] = h
        after = states.unbind(0)
        for k, (inputs, factor) in enumerate(zip(projected.unbind(0), _marked(keep, len(projected)), strict=True)):
            before = after[k] if factor is None else after[k] * factor
            torch.addmm(inputs, before, turned, out=after[k + 1]).tanh_()
        ctx.save_for_backward(states, weight, keep)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads: Tensor):
        (grad,) = grads
        states, weight, keep = ctx.saved_tensors
        slopes = 1 - states[1:].square()
        factors = _marked(keep, len(grad))
        incoming, each = grad.unbind(0), slopes.unbind(0)
        back = torch.zeros_like(states[0])
        for k in range(len(grad) - 1, -1, -1):
            each[k].mul_(back.add_(incoming[k]))
            back = each[k] @ weight
            if (factor := factors[k]) is not None:
                back *= factor
        return slopes, back, _weight_gradient(slopes, _read(states, keep)), None


class _LSTMThroughTime(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, projected: Tensor, h: Tensor, c: Tensor, weight: Tensor, keep: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        t, b, n = len(projected), *h.shape
        turned = weight.T.contiguous()
        gates = torch.empty_like(projected)
        hidden, cells = projected.new_empty(t + 1, b, n), projected.new_empty(t + 1, b, n)
        squashed = projected.new_empty(t, b, n)
        hidden[0], cells[0] = h, c
        after, memory, bent = hidden.unbind(0), cells.unbind(0), squashed.unbind(0)
        input_forget, output = gates[:, :, : 2 * n].unbind(0), gates[:, :, 3 * n :].unbind(0)
        i, f, g, _ = (part.unbind(0) for part in gates.split(n, dim=2))
        every = gates.unbind(0)
        for k, (inputs, factor) in enumerate(zip(projected.unbind(0), _marked(keep, t), strict=True)):
            before, kept = (after[k], memory[k]) if factor is None else (after[k] * factor, memory[k] * factor)
            torch.addmm(inputs, before, turned, out=every[k])
            input_forget[k].sigmoid_()
            g[k].tanh_()
            output[k].sigmoid_()
            torch.mul(f[k], kept, out=memory[k + 1]).addcmul_(i[k], g[k])
            torch.tanh(memory[k + 1], out=bent[k])
            torch.mul(output[k], bent[k], out=after[k + 1])
        ctx.save_for_backward(gates, hidden, cells, squashed, weight, keep)
        return hidden[1:], cells[t].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads: Tensor):
        grad, grad_cell = grads
        gates, hidden, cells, squashed, weight, keep = ctx.saved_tensors
        n = squashed.shape[-1]
        i, f, g, o = gates.split(n, dim=2)
        # ∂gate pre-activation = ∂c times these for i, f, g, and ∂h times it for o.
        slopes = torch.empty_like(gates)
        torch.mul(i - i.square(), g, out=slopes[:, :, :n])
        torch.mul(f - f.square(), _read(cells, keep), out=slopes[:, :, n : 2 * n])
        torch.mul(1 - g.square(), i, out=slopes[:, :, 2 * n : 3 * n])
        torch.mul(o - o.square(), squashed, out=slopes[:, :, 3 * n :])
        cell_by_hidden = (o - o * squashed.square()).unbind(0)
        by_cell = slopes[:, :, : 3 * n].unflatten(2, (3, n)).unbind(0)
        by_hidden = slopes[:, :, 3 * n :].unbind(0)
        every, forget, incoming, factors = slopes.unbind(0), f.unbind(0), grad.unbind(0), _marked(keep, len(grad))
        back, back_cell = torch.zeros_like(hidden[0]), grad_cell.clone()
        for k in range(len(grad) - 1, -1, -1):
            back.add_(incoming[k])
            back_cell.addcmul_(back, cell_by_hidden[k])
            by_hidden[k].mul_(back)
            by_cell[k].mul_(back_cell[:, None])
            back_cell.mul_(forget[k])
            back = every[k] @ weight
            if (factor := factors[k]) is not None:
                back *= factor
                back_cell *= factor
        return slopes, back, back_cell, _weight_gradient(slopes, _read(hidden, keep)), None


class _GRUThroughTime(torch.autograd.Function):
    @staticmethod
    def forward(ctx, projected: Tensor, h: Tensor, weight: Tensor, bias: Tensor, keep: Tensor | None) -> Tensor:
        t, n = len(projected), h.shape[-1]
        turned = weight.T.contiguous()
        states = projected.new_empty(t + 1, *h.shape)
        states[0] = h
        recurrent, candidate = torch.empty_like(projected), torch.empty_like(states[1:])
        after, every, proposed = states.unbind(0), recurrent.unbind(0), candidate.unbind(0)
        reset_update = recurrent[:, :, : 2 * n].unbind(0)
        r, z, recalled = (part.unbind(0) for part in recurrent.split(n, dim=2))
        gate_inputs, candidate_inputs = projected[:, :, : 2 * n].unbind(0), projected[:, :, 2 * n :].unbind(0)
        for k, factor in enumerate(_marked(keep, t)):
            before = after[k] if factor is None else after[k] * factor
            torch.addmm(bias, before, turned, out=every[k])
            reset_update[k].add_(gate_inputs[k]).sigmoid_()
            torch.addcmul(candidate_inputs[k], r[k], recalled[k], out=proposed[k]).tanh_()
            torch.lerp(proposed[k], before, z[k], out=after[k + 1])
        ctx.save_for_backward(recurrent, candidate, states, weight, keep)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads: Tensor):
        (grad,) = grads
        recurrent, candidate, states, weight, keep = ctx.saved_tensors
        n = states.shape[-1]
        r, z, recalled = recurrent.split(n, dim=2)
        before = _read(states, keep)
        # Everything is linear in ∂h: ∂(W_hh h + b) = ∂h times `slopes`, for r, z and the candidate.
        by_candidate = (1 - z) * (1 - candidate.square())
        slopes = torch.empty_like(recurrent)
        torch.mul(by_candidate * recalled, r - r.square(), out=slopes[:, :, :n])
        torch.mul(before - candidate, z - z.square(), out=slopes[:, :, n : 2 * n])
        torch.mul(by_candidate, r, out=slopes[:, :, 2 * n :])
        parts, every = slopes.unflatten(2, (3, n)).unbind(0), slopes.unbind(0)
        carried, incoming, factors = z.unbind(0), grad.unbind(0), _marked(keep, len(grad))
        total = torch.empty_like(grad)
        totals = total.unbind(0)
        back = torch.zeros_like(states[0])
        for k in range(len(grad) - 1, -1, -1):
            torch.add(back, incoming[k], out=totals[k])
            parts[k].mul_(totals[k][:, None])
            back = torch.addmm(totals[k] * carried[k], every[k], weight)
            if (factor := factors[k]) is not None:
                back *= factor
        inputs = torch.cat((slopes[:, :, : 2 * n], by_candidate.mul_(total)), dim=2)
        return inputs, back, _weight_gradient(slopes, before), slopes.sum((0, 1)), None


def elman_through_time(
    projected: Float[Tensor, "t b n"],
    h: Float[Tensor, "b n"],
    weight: Float[Tensor, "n n"],
    keep: Float[Tensor, "t b 1"] | None,
) -> Float[Tensor, "t b n"]:
    """The Elman network's state after each step. `projected` holds both biases; `keep` is 0 where a document begins."""
    return _ElmanThroughTime.apply(projected, h, weight, keep)


def lstm_through_time(
    projected: Float[Tensor, "t b gates"],
    h: Float[Tensor, "b n"],
    c: Float[Tensor, "b n"],
    weight: Float[Tensor, "gates n"],
    keep: Float[Tensor, "t b 1"] | None,
) -> tuple[Float[Tensor, "t b n"], Float[Tensor, "b n"]]:
    """The LSTM's h after each step and c after the last. `projected` holds both biases."""
    return _LSTMThroughTime.apply(projected, h, c, weight, keep)


def gru_through_time(
    projected: Float[Tensor, "t b gates"],
    h: Float[Tensor, "b n"],
    weight: Float[Tensor, "gates n"],
    bias: Float[Tensor, " gates"],
    keep: Float[Tensor, "t b 1"] | None,
) -> Float[Tensor, "t b n"]:
    """The GRU's state after each step. `bias` belongs to W_hh: the reset gate scales a part of it."""
    return _GRUThroughTime.apply(projected, h, weight, bias, keep)
