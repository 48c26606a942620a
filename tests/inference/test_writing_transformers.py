"""Many texts at once against `transformers.generate` on the same exported folder."""

import pytest
import torch

from inkstone.hub import bart_marian
from inkstone.inference.writing import write_texts

from .test_writing import TOKENIZER, VARIANTS, model_of

transformers = pytest.importorskip("transformers")

END = TOKENIZER.end
LIKELY = {"bart": 10.0, "marian": 6.5}  # nats more for the end, so that some texts of random weights end
BART = dict(VARIANTS["bart"], activation="relu")
MARIAN = dict(norm="post", activation="silu", output_bias=True)


@pytest.fixture(scope="module", params=["bart", "marian"])
def pair(request, tmp_path_factory):
    """Our model and theirs, from one folder, and sources with their padding."""
    changes = {"bart": BART, "marian": MARIAN}[request.param]
    ours = model_of("pre", **{**dict(vocab_size=TOKENIZER.vocab_size, first=None), **changes})
    with torch.no_grad():
        ours.bias[END] += LIKELY[request.param]  # type: ignore[index]
    folder = tmp_path_factory.mktemp(request.param)
    bart_marian.write(ours, folder)
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    generator = torch.Generator().manual_seed(0)
    sources = [torch.randint(0, END, (length,), generator=generator).tolist() for length in (4, 9, 2, 7)]
    return ours, theirs, sources


def generated(theirs, sources, texts: int, **options):
    """The peer's ids without what stands before and after a text, and its scores."""
    longest = max(map(len, sources))
    ids = torch.tensor([source + [END] * (longest - len(source)) for source in sources])
    mask = torch.tensor([[1] * len(source) + [0] * (longest - len(source)) for source in sources])
    found = theirs.generate(
        ids, attention_mask=mask, do_sample=False, num_return_sequences=texts, return_dict_in_generate=True,
        output_scores=True, **options,
    )  # fmt: skip
    rows = [row[1:].tolist() for row in found.sequences]
    rows = [tuple(row[: row.index(END) + 1] if END in row else row) for row in rows]
    scores = None if texts == 1 else found.sequences_scores.view(-1, texts).tolist()
    return [rows[at : at + texts] for at in range(0, len(rows), texts)], scores


def test_greedy_texts_are_the_same(pair):
    ours, theirs, sources = pair
    expected, _ = generated(theirs, sources, 1, max_new_tokens=15)
    found = write_texts(ours, sources, max_tokens=15)
    assert [[text.ids for text in texts] for texts in found] == expected


@pytest.mark.parametrize("rules", [{}, {"min": 3}, {"ngram": 2}])
def test_beams_are_the_same_where_the_length_does_not_count(pair, rules):
    # Without a length penalty both compare the same figures; "never" is the peer's name of the exact rule of when to end.
    ours, theirs, sources = pair
    theirs_too = dict(min_new_tokens=rules.get("min"), no_repeat_ngram_size=rules.get("ngram"))
    expected, scores = generated(
        theirs, sources, 5, num_beams=5, length_penalty=0.0, early_stopping="never", max_new_tokens=12, **theirs_too
    )
    found = write_texts(
        ours, sources, max_tokens=12, beams=5, alpha=0.0, min_tokens=rules.get("min", 0),
        no_repeat_ngram=rules.get("ngram", 0),
    )  # fmt: skip
    assert [[text.ids for text in texts] for texts in found] == expected
    for texts, row in zip(found, scores, strict=True):
        assert [text.score for text in texts] == pytest.approx(row, abs=1e-4)
    assert any(text.ended for texts in found for text in texts)


def test_texts_of_one_length_are_the_same_whatever_the_penalty(pair):
    ours, theirs, sources = pair
    theirs.generation_config.eos_token_id = None
    expected, _ = generated(theirs, sources, 5, num_beams=5, length_penalty=1.0, min_new_tokens=12, max_new_tokens=12)
    theirs.generation_config.eos_token_id = END
    found = write_texts(ours, sources, max_tokens=12, beams=5, alpha=1.0, ends=())
    for texts, rows in zip(found, expected, strict=True):
        assert [text.ids[: len(row)] for text, row in zip(texts, rows, strict=True)] == rows
