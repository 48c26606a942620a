"""Tokenizers as llguidance takes them, for each kind of ours and one whose tokens depend on their neighbours."""

import gc
import sys
import weakref

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from inkstone.errors import MissingExtraError
from inkstone.inference.constrained import Constraint, ConstraintError
from inkstone.inference.grammar_tokens import llguidance, of_bytes, of_tokenizer
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import KINDS, Tokenizer

TEXT = "Ink on a stone, 墨 on 砚台. "


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_spell_the_same_bytes(kind):
    tokenizer = learn_tokenizer(iter([TEXT * 20]), kind, 300)
    theirs = of_tokenizer(tokenizer)
    ids = tokenizer.encode("stone 砚 é")
    assert theirs.vocab_size == tokenizer.vocab_size and theirs.eos_token == tokenizer.end
    assert theirs.decode_bytes(ids) == "stone 砚 é".encode()
    assert theirs.tokenize_str("stone 砚 é") == ids
    assert of_tokenizer(tokenizer) is theirs


def test_a_tokenizer_is_let_go():
    tokenizer = learn_tokenizer(iter([TEXT * 20]), "character", 300)
    of_tokenizer(tokenizer)
    gone = weakref.ref(tokenizer)
    del tokenizer
    gc.collect()
    assert gone() is None


def test_a_tokenizer_whose_blanks_are_signs():
    vocab = {"<unk>": 0, "</s>": 1, "▁red": 2, "▁green": 3, "red": 4, "green": 5, "▁": 6}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", ignore_merges=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.add_special_tokens([tokenizers.AddedToken("</s>", special=True)])
    tokenizer = Tokenizer(backend)
    assert tokenizer.spelling is None
    form = Constraint.choices(["red", " green"]).begin(tokenizer)
    assert set(form.allowed().nonzero()[0]) >= {4, 3} and not form.allowed()[[0, 1, 2]].any()
    assert form.then(3).complete and form.then(3).allowed()[1]


def test_tokens_that_are_no_stretches_of_text_are_refused():
    backend = tokenizers.Tokenizer(
        models.WordPiece(vocab={"[UNK]": 0, "[SEP]": 1, "red": 2, "##s": 3}, unk_token="[UNK]")
    )
    backend.decoder = decoders.WordPiece()
    with pytest.raises(ConstraintError, match="by WordPiece"):
        of_tokenizer(Tokenizer(backend))


def test_bytes_are_a_vocabulary():
    assert of_bytes().decode_bytes([230, 136]) == "成".encode()[:2]


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'inkstone\[constrained\]'"):
        llguidance()
