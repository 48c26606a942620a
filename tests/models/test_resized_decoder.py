"""A decoder with more tokens or a longer context: the old tokens have the logits that they had, the new ones those of the mean."""

import pytest
import torch

from inference.decoders import byte_tokenizer, decoder
from inkstone.errors import RecipeError
from inkstone.models.resized_decoder import resized
from inkstone.tokens.control_tokens import with_turn_tokens
from inkstone.tokens.tokenizer import Tokenizer


def without_turns() -> Tokenizer:
    import json

    import tokenizers

    described = json.loads(byte_tokenizer().backend.to_str())
    described["added_tokens"] = [each for each in described["added_tokens"] if "im_" not in each["content"]]
    for token in ("<|im_start|>", "<|im_end|>"):
        described["model"]["vocab"].pop(token, None)
    return Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(described)), "foreign")


@pytest.mark.parametrize("layout", ["qwen3", "llama", "gpt2"])
@pytest.mark.parametrize("tied", [True, False])
def test_new_tokens_have_the_mean_of_the_others_and_nothing_else_changes(layout, tied):
    small = without_turns()
    tokenizer, new = with_turn_tokens(small)
    model = decoder(layout, vocab_size=small.vocab_size, tied=tied)
    larger = resized(model, tokenizer, 96, [])
    assert new == [small.vocab_size, small.vocab_size + 1] and larger.settings.vocab_size == tokenizer.vocab_size
    ids = torch.tensor([[3, 5, 250, 7, 1]])
    before, after = model(ids), larger(ids)
    torch.testing.assert_close(after[..., : small.vocab_size], before)
    torch.testing.assert_close(after[..., new[0]], before.mean(-1), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(larger.embedding.weight[new[1]], model.embedding.weight.mean(0))


def test_tokens_that_no_text_held_begin_anew_and_padded_rows_are_taken():
    tokenizer = byte_tokenizer()
    fresh = [tokenizer.vocab_size - 1]
    model = decoder(vocab_size=300)
    other = resized(model, tokenizer, 96, fresh)
    known = [number for number in range(tokenizer.vocab_size) if number not in fresh]
    assert other.settings.vocab_size == 300
    torch.testing.assert_close(other.embedding.weight[fresh[0]], model.embedding.weight[known].mean(0))
    torch.testing.assert_close(other.embedding.weight[known], model.embedding.weight[known])


def test_rotary_positions_go_further_and_learned_ones_do_not():
    ids = torch.arange(60).view(1, 60)
    model = decoder(context=96)
    longer = resized(model, byte_tokenizer(), 128)
    assert longer.settings.context == 128
    torch.testing.assert_close(longer(ids), model(ids))
    with pytest.raises(RecipeError, match=r"model.context = 128.*learned positions for 96"):
        resized(decoder("gpt2"), byte_tokenizer(), 128)
