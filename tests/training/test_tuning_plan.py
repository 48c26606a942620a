"""The choices of tuning."""

import pytest
import torch

from hub.checkpoints import decoder, some_ids
from inkstone.training.planner import GIVEN
from inkstone.training.tuning_plan import with_dropout


@pytest.mark.parametrize(
    "own, given, expected, why",
    [
        (0.0, None, 0.1, "it was trained without"),
        (0.25, None, 0.25, "as it was trained"),
        (0.25, 0.0, 0.0, GIVEN),
        (0.0, 0.0, 0.0, GIVEN),
    ],
)
@torch.no_grad()
def test_a_body_keeps_its_dropout_and_gets_some_where_it_has_none(own, given, expected, why):
    body = decoder("qwen3", dropout=own)
    tuned, (choice,) = with_dropout(body, given)
    assert tuned.settings.dropout == choice.value == expected and why in choice.why
    ids = some_ids(2, 20)
    torch.testing.assert_close(tuned.eval().hidden(ids), body.hidden(ids))
    drawn = [tuned.train().hidden(ids) for _ in range(2)]
    assert torch.equal(*drawn) == (expected == 0)


def test_a_body_that_cannot_drop_anything_is_left_as_it_is():
    class Bare:
        settings = None

    body = Bare()
    assert with_dropout(body, None) == (body, [])
