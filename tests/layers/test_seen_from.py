"""Words seen from one of them: by the formula written out, and whatever stands at padding."""

import torch

from inkstone.layers.seen_from import SeenFrom


def layer(n_layers: int) -> SeenFrom:
    made = SeenFrom(inputs=6, width=4, n_layers=n_layers, places=5, dropout=0.5)
    made.initialise(torch.Generator().manual_seed(0), 0.4)
    return made.eval()


def some_states(rows: int, words: int) -> torch.Tensor:
    return torch.randn(rows, words, 6, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_without_layers_it_is_the_formula():
    made, states = layer(0), some_states(2, 4)
    focus = torch.tensor([[3, 1, 1, 9], [0, 0, 0, 0]])  # a place above the highest is the highest
    found = made(states, focus, torch.ones(2, 4, dtype=torch.bool))
    asked = (states[0, 1] + states[0, 2]) / 2, torch.zeros(6)  # the mean over those that are asked about, or nothing
    for row in range(2):
        for word in range(4):
            h = states[row, word]
            z = made.own.weight @ h + made.own.bias + made.asked.weight @ asked[row]
            z = torch.relu(z + made.place.weight[min(int(focus[row, word]), 5)])
            torch.testing.assert_close(found[row, word], h + made.back.weight @ z)


@torch.no_grad()
def test_a_row_is_seen_alike_alone_and_beside_a_longer_one():
    made, states = layer(2), some_states(2, 5)
    focus = torch.tensor([[2, 1, 3, 1, 1], [0, 2, 1, 3, 4]])  # beyond the third word of the first row nothing stands
    valid = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    together = made(states, focus, valid)
    alone = made(states[:1, :3], focus[:1, :3], valid[:1, :3])
    torch.testing.assert_close(together[:1, :3], alone)
    other = made(states[:1, :3], torch.tensor([[1, 3, 4]]), valid[:1, :3])
    assert ((other - alone).abs().amax(-1) > 1e-4).all()  # each word is another from another predicate
