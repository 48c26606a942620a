"""Frames: what stands around texts is what the tokenizer itself would put there."""

import numpy as np
import pytest
import tokenizers

from inkstone.errors import RecipeError
from inkstone.tasks.framing import Frame
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer

TEMPLATES = {
    "bert": ("[CLS] $A [SEP]", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"),
    "roberta": ("<s> $A </s>", "<s>:0 $A:0 </s>:0 </s>:0 $B:0 </s>:0"),
    "gpt2": ("$A", "$A:0 $B:1"),
}


def tokenizer(kind):
    if kind == "ours":
        return learn_tokenizer(["the quick brown fox jumps over the lazy dog " * 20], vocab_size=300)
    words = ["[CLS]", "[SEP]", "<s>", "</s>", "[UNK]", *"abcdefghij"]
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(["[CLS]", "[SEP]", "<s>", "</s>"])
    single, pair = TEMPLATES[kind]
    special = [(name, backend.token_to_id(name)) for name in ("[CLS]", "[SEP]", "<s>", "</s>")]
    backend.post_processor = tokenizers.processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
    return Tokenizer(backend)


@pytest.mark.parametrize("kind", ["ours", *TEMPLATES])
def test_a_text_and_a_pair_stand_as_the_tokenizer_puts_them(kind):
    known = tokenizer(kind)
    frame = Frame.of(known, 64)
    a, b = "a b c", "d e"
    assert frame.single(known.encode(a))[0].tolist() == known.backend.encode(a).ids
    wanted = known.backend.encode(a, b)
    ids, types = frame.pair(known.encode(a), known.encode(b))
    assert ids.tolist() == wanted.ids
    assert types.tolist() == [min(kind, 1) for kind in wanted.type_ids] or kind == "ours"


@pytest.mark.parametrize("lengths", [(5, 40), (40, 5), (40, 40), (0, 40), (3, 2)])
def test_a_pair_that_is_too_long_loses_the_end_of_its_longer_text(lengths):
    frame = Frame.of(tokenizer("bert"), 24)
    first, second = np.arange(5, 5 + lengths[0]) % 9 + 5, np.arange(lengths[1]) % 9 + 5
    ids, types = frame.pair(first, second)
    assert len(ids) == len(types) == min(24, sum(lengths) + 3)
    assert frame.cuts(first, second) == (sum(lengths) > 21) and frame.cuts(first) == (lengths[0] > 22)
    kept = min(lengths[0], 21 - min(lengths[1], 11)) if sum(lengths) > 21 else lengths[0]
    assert abs(int((types == 0).sum()) - 2 - kept) <= 1


def test_a_context_without_room_is_refused():
    with pytest.raises(RecipeError, match="no room"):
        Frame.of(tokenizer("bert"), 6)
