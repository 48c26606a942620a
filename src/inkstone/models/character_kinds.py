"""What kind each token of a tokenizer of characters is, and its lower case: how a word is spelled, without the word."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.tokens.tokenizer import Tokenizer

KINDS = 7  # see `kind_of`


def lower_case(tokenizer: Tokenizer, size: int) -> Int[Tensor, " v"]:
    """By token + 1, the token + 1 of the same in lower case; the same where there is none."""
    known = tokenizer.backend.get_vocab(with_added_tokens=True)
    lower = np.arange(size + 1)
    for token, number in known.items():
        small = known.get(token.lower())
        if small is not None and number < size and number not in tokenizer.special_ids:
            lower[number + 1] = small + 1
    return torch.from_numpy(lower)


def kinds_of_tokens(tokenizer: Tokenizer, size: int) -> Float[Tensor, "v kinds"]:
    """By token + 1, a one in the column of its kind; nothing for padding and special tokens."""
    table = np.zeros((size + 1, KINDS), np.float32)
    for number in range(min(size, tokenizer.vocab_size)):
        if number not in tokenizer.special_ids:
            table[number + 1, kind_of(tokenizer.token_text(number).strip(" ▁Ġ")[:1])] = 1
    return torch.from_numpy(table)


def kind_of(character: str) -> int:
    """The kind of a character: 0 nothing, 1 capital, 2 small letter, 3 digit, 4 Chinese, 5 other letters, 6 all else.

    >>> [kind_of(c) for c in ("", "A", "a", "7", "砚", "א", "!")]
    [0, 1, 2, 3, 4, 5, 6]
    """
    if not character:
        return 0
    if "\u3400" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff":
        return 4
    tests = (str.isupper, str.islower, str.isdigit)
    return next((at for at, test in enumerate(tests, 1) if test(character)), 5 if character.isalpha() else 6)
