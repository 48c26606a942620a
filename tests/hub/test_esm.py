"""Our encoder with norms before each part, opened by transformers as ESM: the same logits, with a head or without."""

import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from inkstone.hub import bert_tasks, esm
from inkstone.models.encoder import Encoder, EncoderSettings
from inkstone.models.headed import Headed, HeadSettings

from .checkpoints import tokenizer
from .test_bert_tasks import LABELS, batch, scores_of_transformers, seen


def own(**options) -> Encoder:
    """An encoder in which every number is random."""
    known = tokenizer()
    shape = dict(vocab_size=known.vocab_size, width=32, n_layers=2, n_heads=4, hidden=48, context=40, layout="modern")
    model = Encoder(EncoderSettings(**{**shape, **options}), known)
    model.initialise(torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=draw))
    return model.eval()


@pytest.mark.parametrize("options", [{}, {"n_types": 0}, {"rotary_theta": 500.0, "norm_eps": 1e-5}])
@torch.no_grad()
def test_logits_equal_those_of_transformers(options, tmp_path):
    ours = own(**options)
    esm.write(ours, tmp_path)
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    assert theirs.__class__.__name__ == "EsmForMaskedLM"
    ids = torch.randint(0, ours.settings.vocab_size + 1, (2, 30), generator=torch.Generator().manual_seed(0))
    ids[0, 3] = ours.settings.mask_id
    document = torch.zeros_like(ids)
    document[1, 22:] = -1  # padding
    told = theirs(ids, attention_mask=(document == 0).long()).logits
    size = ours.settings.vocab_size
    inside = document == 0
    torch.testing.assert_close(told[..., :size][inside], ours(ids, document)[inside], rtol=0, atol=1e-4)
    assert (told.softmax(-1)[..., size:] == 0).all()  # neither [MASK] nor [PAD] is ever told


def test_the_tokenizer_gives_the_same_ids_and_no_segments(tmp_path):
    ours = own()
    esm.write(ours, tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    given = theirs("Ink on stone.")
    assert set(given) == {"input_ids", "attention_mask"}
    assert [number for number in given["input_ids"] if number != ours.tokenizer.end] == ours.tokenizer.encode(
        "Ink on stone."
    )
    assert theirs.mask_token_id == ours.settings.mask_id and theirs.pad_token_id == ours.settings.vocab_size + 1
    assert len(theirs) == ours.settings.vocab_size + 2


@pytest.mark.parametrize(
    ("kind", "opener"), [("class", AutoModelForSequenceClassification), ("token", AutoModelForTokenClassification)]
)
@torch.no_grad()
def test_a_body_with_a_head_opens_in_transformers(kind, opener, tmp_path):
    head = HeadSettings(kind, tuple(LABELS.values()), "first", kind == "class", dropout=0.25)
    ours = Headed(own(), head).initialise_head(torch.Generator().manual_seed(0)).eval()
    for weight in ours.scores.parameters():
        weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)))
    bert_tasks.write(ours, tmp_path, {"context": 30})
    theirs = opener.from_pretrained(tmp_path).eval()
    assert theirs.__class__.__name__ == esm.CLASSES[kind] and theirs.config.id2label == LABELS
    b = batch(most=ours.body.settings.vocab_size, types=False)
    expected = seen(ours(b), kind, b)
    torch.testing.assert_close(seen(scores_of_transformers(theirs, kind, b), kind, b), expected, rtol=0, atol=1e-4)
    assert AutoTokenizer.from_pretrained(tmp_path).model_max_length == 30
