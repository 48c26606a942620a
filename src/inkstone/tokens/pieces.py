"""Packed rows cut into pieces: each lies inside one document and has no more than so many predictions."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pieces:
    """Pieces side by side, padded on the right with zeros."""

    inputs: Tensor  # (n, t) int64: the token before each prediction
    targets: Tensor  # (n, t) int64: what is to be predicted
    valid: Tensor  # (n, t) bool: False at padding

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def rows(self, chosen: Tensor | slice) -> "Pieces":
        """Some of the pieces, no wider than the longest of them."""
        valid = self.valid[chosen]
        width = int(valid.sum(1).max())
        return Pieces(self.inputs[chosen, :width], self.targets[chosen, :width], valid[:, :width])


def cut_pieces(ids: Tensor, targets: Tensor, document: Tensor | None, longest: int) -> Pieces:
    """The pieces of rows of packed documents, as `Batch` has them, row after row.

    A new piece begins with each row, with each document, and after every `longest` predictions of one document. Its first
    input is the token before it: `end` at the head of a document, else the last one of the piece before.
    """
    b, t = ids.shape
    opens = torch.zeros(b, t, dtype=torch.bool, device=ids.device)
    opens[:, 0] = True
    if document is not None:
        opens[:, 1:] = document[:, 1:] != document[:, :-1]
    place = torch.arange(b * t, device=ids.device)
    since = place - torch.where(opens.flatten(), place, 0).cummax(0).values
    column = since % longest
    row = (column == 0).cumsum(0) - 1
    shape = (int(row[-1]) + 1, int(column.max()) + 1)
    inputs, wanted = ids.new_zeros(shape), ids.new_zeros(shape)
    valid = torch.zeros(shape, dtype=torch.bool, device=ids.device)
    inputs[row, column], wanted[row, column], valid[row, column] = ids.flatten(), targets.flatten(), True
    return Pieces(inputs, wanted, valid)
