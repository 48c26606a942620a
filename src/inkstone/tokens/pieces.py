"""Packed rows cut into pieces: each lies inside one document, and has no more than so many predictions."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True)
class Pieces:
    """Pieces side by side, padded on the right with zeros."""

    inputs: Int[Tensor, "n t"]  # the token before each prediction
    targets: Int[Tensor, "n t"]  # what is to be predicted
    valid: Bool[Tensor, "n t"]  # False at padding
    document: Int[Tensor, " n"]  # the number, within its row, of the document that each lies in

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def rows(self, chosen: Tensor | slice) -> "Pieces":
        """Some of the pieces, no wider than the longest of them."""
        valid = self.valid[chosen]
        width = int(valid.sum(1).max())
        return Pieces(
            self.inputs[chosen, :width], self.targets[chosen, :width], valid[:, :width], self.document[chosen]
        )


def places_in_pieces(
    opens: Bool[Tensor, "b t"], longest: int, used: Int[Tensor, " b"] | None = None
) -> Int[Tensor, "b t"]:
    """The place of each prediction in its piece: 0 where `opens`, and again after every `longest` predictions.

    used: how far the piece is that goes on at the first position, which otherwise begins one.

    >>> places_in_pieces(torch.tensor([[0, 0, 0, 1, 0, 0, 0]]).bool(), 3, torch.tensor([2]))
    tensor([[2, 0, 1, 0, 1, 2, 0]])
    """
    place = torch.arange(opens.shape[1], device=opens.device)
    first = torch.zeros(len(opens), dtype=torch.long, device=opens.device) if used is None else -used
    return (place - torch.where(opens, place, first[:, None]).cummax(1).values) % longest


def cut_pieces(
    ids: Int[Tensor, "b t"],
    targets: Int[Tensor, "b t"],
    document: Int[Tensor, "b t"] | None,
    longest: int,
    opens: Bool[Tensor, "b t"] | None = None,
    end: int = 0,
) -> Pieces:
    """The pieces of rows of packed documents, as `Batch` has them, row after row.

    A new piece begins with each row, with each document, at each prediction where one `opens`, and after every `longest`
    predictions. Its first input is the token before it: at the head of a document that is `end`, and where one `opens` the
    input becomes `end` too, so that it begins as a document does.
    """
    head = torch.zeros_like(ids, dtype=torch.bool)
    if document is not None:
        head[:, 1:] = document[:, 1:] != document[:, :-1]
    if opens is not None:
        ids = ids.masked_fill(opens & ~head, end)
        head = head | opens
    column = places_in_pieces(head, longest).flatten()
    row = (column == 0).cumsum(0) - 1
    shape = (int(row[-1]) + 1, int(column.max()) + 1)
    inputs, wanted = ids.new_zeros(shape), ids.new_zeros(shape)
    valid = torch.zeros(shape, dtype=torch.bool, device=ids.device)
    inputs[row, column], wanted[row, column], valid[row, column] = ids.flatten(), targets.flatten(), True
    numbers = torch.zeros_like(column) if document is None else document.flatten()
    return Pieces(inputs, wanted, valid, numbers[column == 0].long())
