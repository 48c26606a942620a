"""Tokens that no text is made of, added to a tokenizer: they enter and leave as ids alone."""

from collections.abc import Sequence

import tokenizers

from inkstone.tokens.tokenizer import Tokenizer


def with_tokens(tokenizer: Tokenizer, names: Sequence[str]) -> tuple[Tokenizer, list[int]]:
    """A tokenizer in which these are single special tokens, and the ids that are new; `tokenizer` stays as it is.

    New ids follow the largest one so far, so a model needs `vocab_size` rows in its embedding, and those of the new ids have
    learned nothing yet.
    """
    backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
    known = set(backend.get_vocab(with_added_tokens=True).values())
    backend.add_special_tokens([tokenizers.AddedToken(name, special=True, normalized=False) for name in names])
    new = sorted(set(backend.get_vocab(with_added_tokens=True).values()) - known)
    return Tokenizer(backend, tokenizer.kind, tokenizer.end, tokenizer.names), new
