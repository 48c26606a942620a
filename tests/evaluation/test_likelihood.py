"""Scores against closed forms, brute force, and themselves in other batches."""

import math
from typing import ClassVar

import numpy as np
import pytest
import torch

from inkstone.errors import TextError
from inkstone.evaluation.likelihood import score
from inkstone.models.decoder import Decoder, DecoderSettings

from .oracles import ByteTokenizer, CountsContext, SecondOrder, Uniform

TOKENIZER = ByteTokenizer()


def ids(text: str) -> np.ndarray:
    return np.array(TOKENIZER.encode(text), dtype=np.uint16)


def random_documents(n: int, longest: int, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(97, 123, size=generator.integers(1, longest)).astype(np.uint16) for _ in range(n)]


def small_decoder(layout: str = "qwen3", context: int = 64) -> Decoder:
    settings = DecoderSettings(
        vocab_size=257, width=16, n_layers=2, n_heads=2, n_kv_heads=1 if layout != "gpt2" else 2, head_width=8, hidden=32,
        context=context, layout=layout,
    )  # fmt: skip
    decoder = Decoder(settings, TOKENIZER)
    generator = torch.Generator().manual_seed(1)
    for weight in decoder.parameters():
        weight.data.normal_(0, 0.4, generator=generator)
    return decoder


def brute_force(model: Decoder, document: np.ndarray) -> float:
    """The whole document in one forward pass, the end token at both ends."""
    row = torch.tensor([[TOKENIZER.end, *document.tolist(), TOKENIZER.end]])
    with torch.no_grad():
        logits = model(row[:, :-1]).double()
    return torch.nn.functional.cross_entropy(logits[0], row[0, 1:], reduction="sum").item()


def test_uniform_model_has_the_closed_form():
    likelihood = score(Uniform(TOKENIZER), [ids("ink"), ids("墨 and stone"), ids("")], window=8)
    # Each document's end is predicted too, and is no byte of the text.
    assert likelihood.tokens.tolist() == [4, 14, 1]
    assert likelihood.bytes.tolist() == [3, 13, 0]
    assert likelihood.characters.tolist() == [3, 11, 0]
    assert likelihood.words.tolist() == [1, 3, 0]
    assert likelihood.bits_per_byte == pytest.approx(math.log2(257) * 19 / 16)
    assert likelihood.perplexity("tokens") == pytest.approx(257)
    assert likelihood.perplexity("words") == pytest.approx(257 ** (19 / 4))
    assert likelihood.perplexity("characters") == pytest.approx(257 ** (19 / 14))


@pytest.mark.parametrize("layout", ["qwen3", "llama", "gpt2"])
def test_documents_inside_the_window_equal_full_context(layout):
    model = small_decoder(layout)
    documents = random_documents(9, 63)
    likelihood = score(model, documents, window=64, pass_tokens=100)
    assert likelihood.nats == pytest.approx([brute_force(model, document) for document in documents], rel=1e-5)


def test_carried_state_equals_full_context_and_hidden_states():
    model = small_decoder()
    documents = random_documents(5, 300, seed=2)
    carried = score(model, documents, window=None, pass_tokens=400)
    assert carried.nats == pytest.approx([brute_force(model, document) for document in documents], rel=1e-5)


def test_a_stateful_model_is_read_through_in_pieces(monkeypatch):
    monkeypatch.setattr("inkstone.evaluation.likelihood.LOGITS_AT_ONCE", 257 * 20)
    model = SecondOrder(TOKENIZER)
    documents = random_documents(12, 90, seed=3)
    likelihood = score(model, documents, window=None, pass_tokens=500, section=16)
    assert likelihood.nats == pytest.approx([model.nats(document).sum() for document in documents], rel=1e-5)
    assert likelihood.section_nats.sum() == pytest.approx(likelihood.nats.sum())


def test_sums_do_not_depend_on_batches_sections_or_order():
    model = small_decoder()
    documents = random_documents(20, 200, seed=4)
    expected = score(model, documents, window=32, stride=16).nats
    assert score(model, documents, window=32, stride=16, pass_tokens=33).nats == pytest.approx(expected, rel=1e-5)
    # Sections move the grid of windows, not what a prediction sees at least.
    backwards = score(model, documents[::-1], window=32, stride=16, pass_tokens=64).nats[::-1]
    assert backwards == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("window", "stride", "section"), [(16, 8, 1000), (16, 16, 1000), (16, 1, 64), (10, 3, 37)])
def test_every_token_is_counted_once_with_enough_context(window, stride, section):
    model = CountsContext(TOKENIZER)
    document = ids("x" * 200)
    likelihood = score(model, [document], window=window, stride=stride, section=section)
    assert likelihood.tokens.tolist() == [201]
    assert max(seen.shape[1] for seen in model.seen) <= window
    # The nats of this model tell the context; so the sum is bounded by that of the least and the most allowed.
    least = sum(model.nats(min(place + 1, window - stride + 1), target=1) for place in range(201))
    most = sum(model.nats(min(place + 1, window), target=1) for place in range(201))
    assert least - 1e-3 <= likelihood.nats.sum() <= most + 1e-3
    if stride == 1:
        assert likelihood.nats.sum() == pytest.approx(most)


def test_full_context_at_stride_one_equals_brute_force_of_every_window():
    model = small_decoder()
    document = random_documents(1, 2, seed=5)[0].repeat(1)
    document = np.random.default_rng(6).integers(97, 123, size=50).astype(np.uint16)
    row = torch.tensor([TOKENIZER.end, *document.tolist(), TOKENIZER.end])
    total = 0.0
    for place in range(51):
        seen = row[max(0, place - 11) : place + 1]
        with torch.no_grad():
            total -= model(seen[None])[0, -1].log_softmax(-1)[row[place + 1]].item()
    assert score(model, [document], window=12, stride=1).nats.sum() == pytest.approx(total, rel=1e-5)


def test_sections_never_cut_a_character():
    text = "研墨" * 50 + "ink🖋" * 30
    likelihood = score(Uniform(TOKENIZER), [ids(text)], window=32, section=20)
    assert likelihood.bytes.sum() == likelihood.section_bytes.sum() == len(text.encode())
    assert likelihood.characters.sum() == len(text)
    assert len(likelihood.section_bytes) > 20


def test_a_share_scores_evenly_spaced_sections_with_their_context():
    model = SecondOrder(TOKENIZER)
    document = np.random.default_rng(7).integers(97, 123, size=1000).astype(np.uint16)
    by_hand = model.nats(document)
    likelihood = score(model, [document], window=None, section=100, share=0.3)
    assert len(likelihood.section_nats) == 3
    parts = {round(by_hand[a : a + 100].sum(), 2) for a in range(0, 1000, 100)} | {round(by_hand[900:].sum(), 2)}
    assert {round(float(x), 2) for x in likelihood.section_nats} <= parts
    windowed = score(small_decoder(), [document], window=32, stride=8, section=100, share=0.3)
    whole = score(small_decoder(), [document], window=32, stride=8, section=100)
    positions = [int(np.argmin(abs(whole.section_nats - part))) for part in windowed.section_nats]
    assert whole.section_nats[positions] == pytest.approx(windowed.section_nats, rel=1e-5)
    assert np.diff(positions).min() >= 3


def test_few_documents_fall_back_on_sections_for_the_interval():
    model = Uniform(TOKENIZER)
    few = score(model, [ids("word " * 400)], window=64, section=100)
    many = score(model, [ids("word " * 4)] * 40, window=64, section=100)
    assert few.interval_units()[0] == "sections" and few.figures()["interval_units"] == 20
    assert many.interval_units()[0] == "documents" and many.figures()["interval_units"] == 40
    figures = few.figures()
    assert figures["low"] <= figures["bits_per_byte"] * 1.01 and figures["low"] <= figures["high"]


def test_training_mode_is_given_back():
    model = small_decoder().train()
    score(model, [ids("ink")], window=16)
    assert model.training


def test_nothing_to_score_and_impossible_windows_are_named():
    with pytest.raises(TextError, match="no text"):
        score(Uniform(TOKENIZER), [], window=8)
    with pytest.raises(TextError, match="stride = 9"):
        score(Uniform(TOKENIZER), [ids("ink")], window=8, stride=9)
    with pytest.raises(TextError, match="window = 0"):
        score(Uniform(TOKENIZER), [ids("ink")], window=0)


def test_a_foreign_beginning_stands_before_the_text():
    class Llamas(ByteTokenizer):
        begin: ClassVar[list[int]] = [7]

    model = SecondOrder(Llamas())
    expected = -(model.table[0, 7, 97] + model.table[7 % 7, 97, 256]).item()
    assert score(model, [ids("a")], window=None).nats.sum() == pytest.approx(expected)


def test_a_model_that_reads_through_is_scored_as_step_by_step():
    """The n-gram model's way over whole documents, and the chain of its steps, section by section."""
    from inkstone.models.ngram import NGram, NGramSettings

    tokenizer = TOKENIZER
    generator = np.random.default_rng(0)
    documents = [generator.integers(97, 103, size=n).astype(np.int64) for n in (40, 3, 130)]
    model = NGram(NGramSettings(tokenizer.vocab_size, order=3), tokenizer)
    model.fit(documents, None, torch.Generator(), lambda words: None)

    class Stepping:
        """The same model without its way over whole documents."""

        settings, start, step = None, model.start, model.step

        def __init__(self):
            self.tokenizer = tokenizer

    for section, share in ((50, 1.0), (20, 0.5)):
        fast = score(model, documents, window=None, section=section, share=share)
        slow = score(Stepping(), documents, window=None, section=section, share=share)
        np.testing.assert_allclose(fast.section_nats, slow.section_nats, rtol=1e-5)
        assert fast.tokens.tolist() == slow.tokens.tolist()


class ToldWhole(Uniform):
    """A pseudo-likelihood: a nat for each token, and 100 for the end of a document."""

    likelihood: ClassVar[str] = "whole"

    def document_nats(self, documents, generator, ends, *, most=None):
        assert len(documents) == len(ends)
        return np.array([len(ids) + 100.0 * ended for ids, ended in zip(documents, ends, strict=True)])


def test_of_a_document_told_in_sections_the_last_alone_pays_for_the_end():
    documents = [ids("ink" * 10), ids("ink"), ids("ink" * 4), ids("")]
    likelihood = score(ToldWhole(TOKENIZER), documents, window=8, section=12)
    assert likelihood.section_nats.tolist() == [12, 12, 106, 103, 112, 100]
    assert likelihood.nats.tolist() == [130, 103, 112, 100]
    assert likelihood.tokens.tolist() == [31, 4, 13, 1]
    halved = score(ToldWhole(TOKENIZER), [ids("ink" * 16)], window=8, section=12, share=0.5)
    assert halved.nats.tolist() == [24]  # of four sections the first and third, neither of which is the last
