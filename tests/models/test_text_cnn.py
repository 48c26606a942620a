"""Kim's reader: each feature is one filter laid on the text, and padding is read as nothing."""

import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.models.headed import Headed, HeadSettings
from inkstone.models.text_cnn import TextCNN, TextCNNSettings
from inkstone.tokens.example_batches import Encoded, collate
from inkstone.tokens.learning import learn_tokenizer


def reader(**given):
    tokenizer = learn_tokenizer(["words of ink and stone " * 20], vocab_size=280)
    settings = TextCNNSettings.of_size(tokenizer.vocab_size, 8, 1, filters=5, **given)
    return TextCNN(settings, tokenizer).initialise(torch.Generator().manual_seed(0)).eval()


@torch.no_grad()
def test_a_feature_is_what_its_formula_says():
    body = reader(kernels=(2, 3))
    ids = torch.tensor([[4, 9, 7, 12]])
    found = body.encode(ids)
    assert found.shape == (1, 4, 10)
    filters = body.filters[1]
    x = torch.cat((body.embedding(ids[0]), torch.zeros(2, 8)))
    for t in range(4):
        by_hand = sum(filters.weight[3, :, i] @ x[t + i] for i in range(3)) + filters.bias[3]
        assert found[0, t, 5 + 3].item() == pytest.approx(max(0.0, by_hand.item()), abs=1e-5)


@torch.no_grad()
def test_padding_changes_no_score():
    model = Headed(reader(), HeadSettings("class", ("a", "b"), "max")).initialise_head(torch.Generator().manual_seed(1))
    model.eval()
    short, long = Encoded(torch.tensor([5, 6, 7]).numpy()), Encoded(torch.arange(4, 20).numpy())
    torch.testing.assert_close(model(collate([short, long]))[0], model(collate([short]))[0])


def test_shapes_that_cannot_be_are_refused():
    with pytest.raises(RecipeError, match="kernels"):
        reader(kernels=(0,))
