"""Many texts at once against beam search of one source at a time, exhaustive search, and a plain greedy loop."""

import itertools

import numpy as np
import pytest
import torch

from inkstone.errors import InkstoneError, RecipeError
from inkstone.inference import packed, writing
from inkstone.inference.beam_search import beam_search, length_penalty
from inkstone.inference.constrained import Constraint
from inkstone.inference.packed import Writer
from inkstone.inference.sampling import SamplingError
from inkstone.inference.writing import batches_of, best_extensions, write_texts
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.tokens.learning import learn_tokenizer

TOKENIZER = learn_tokenizer(iter(["ink on stone"] * 20), "byte-bpe", 260)
LETTERS = 12  # of which the last ends a text, and stands before it
END = LETTERS - 1
VARIANTS = {
    "pre": {},
    "bart": dict(norm="post", positions="learned", embedding_norm=True, output_bias=True, activation="gelu"),
    "rotary": dict(positions="rotary", shared=False, tied=False, scaled=False, n_decoder_layers=1),
}
SEEDS = {"pre": 2, "bart": 0, "rotary": 0}  # of models some of whose texts end


def model_of(variant: str = "pre", seed: int | None = None, **changes) -> EncoderDecoder:
    shape = dict(vocab_size=LETTERS, width=16, n_layers=2, n_heads=4, hidden=24, context=40, n_sentinels=0, first=END)
    settings = EncoderDecoderSettings(**{**shape, **VARIANTS[variant], **changes})
    generator = torch.Generator().manual_seed(SEEDS[variant] if seed is None else seed)
    model = EncoderDecoder(settings, TOKENIZER).initialise(generator).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.4)
    return model


def some_sources(lengths, seed: int = 0, vocabulary: int = LETTERS) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(0, vocabulary, length) for length in lengths]


class OneSource:
    """An encoder-decoder as a language model of the texts to one source."""

    def __init__(self, model: EncoderDecoder, source):
        self.model, self.tokenizer = model, model.tokenizer
        self.memory = model.encode(torch.as_tensor(source)[None])

    def start(self, batch: int):
        assert batch == 1
        return self.model.start(1, self.memory)

    def step(self, ids, state, last=False):
        return self.model.step(ids, state, last)


def one_at_a_time(model, sources, limits, beams, **rules):
    """What `beam_search` finds for each source alone, without what it read first."""
    with torch.inference_mode():
        return [
            beam_search(OneSource(model, source), [model.first], beams, limit, ends=rules.get("ends", {END}), **{
                name: value for name, value in rules.items() if name != "ends"
            })
            for source, limit in zip(sources, limits, strict=True)
        ]  # fmt: skip


def assert_same(found, expected):
    assert [[text.ids for text in texts] for texts in found] == [[text.ids for text in texts] for texts in expected]
    for mine, other in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
        assert mine.ended == other.ended
        assert mine.score == pytest.approx(other.score, abs=1e-4)
        assert mine.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_each_source_gets_what_beam_search_finds_for_it_alone(variant, alpha):
    model, sources = model_of(variant), some_sources([3, 9, 1, 6, 9, 4, 2])
    expected = one_at_a_time(model, sources, [2 + 2 * len(source) for source in sources], 4, alpha=alpha)
    found = write_texts(model, sources, max_tokens=lambda n: 2 + 2 * n, beams=4, alpha=alpha, ends={END})
    assert_same(found, expected)
    assert {text.ended for texts in found for text in texts} == {True, False}
    assert len({len(text.ids) for texts in found for text in texts}) > 3  # so that sources leave at different times


@pytest.mark.parametrize("seed", range(3))
def test_rules_are_those_of_beam_search(seed):
    model, sources = model_of(seed=seed), some_sources([5, 2, 7], seed)
    rules = dict(alpha=0.6, no_repeat_ngram=2, ends={END, 4})
    found = write_texts(model, sources, max_tokens=15, beams=3, **rules)
    assert_same(found, one_at_a_time(model, sources, [15] * 3, 3, **rules))
    assert any(text.ids[-1] == 4 for texts in found for text in texts)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
def test_with_enough_beams_it_is_exhaustive_search(alpha):
    model, sources, longest = model_of(vocab_size=4, first=3), some_sources([2, 5], vocabulary=4), 3
    found = write_texts(model, sources, max_tokens=longest, beams=60, alpha=alpha, ends={3})
    for source, texts in zip(sources, found, strict=True):
        memory, expected = model.encode(torch.as_tensor(source)[None]), {}
        for length in range(1, longest + 1):
            for ids in itertools.product(range(4), repeat=length):
                if 3 in ids[:-1] or (ids[-1] != 3 and length < longest):
                    continue
                with torch.no_grad():
                    told = model(torch.tensor([[3, *ids[:-1]]]), memory=memory)[0].log_softmax(-1)
                total = told.gather(1, torch.tensor(ids)[:, None]).sum().item()
                expected[ids] = total / length_penalty(length, alpha)
        assert {text.ids: text.score for text in texts} == pytest.approx(expected, abs=1e-4)
        assert [text.score for text in texts] == sorted((text.score for text in texts), reverse=True)


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_one_beam_is_the_likeliest_token_each_time_up_to_the_first_end(variant):
    model, sources = model_of(variant), some_sources([4, 8, 1, 5, 5, 7])
    found = write_texts(model, sources, max_tokens=20, ends={END})
    for source, texts in zip(sources, found, strict=True):
        memory, ids = model.encode(torch.as_tensor(source)[None]), [END]
        while len(ids) == 1 or (len(ids) <= 20 and ids[-1] != END):
            ids.append(int(model(torch.tensor([ids]), memory=memory)[0, -1].argmax()))
        (text,) = texts
        assert list(text.ids) == ids[1:] and text.ended == (ids[-1] == END)
        assert text.score == pytest.approx(sum(text.log_probabilities) / length_penalty(len(text.ids), 0.6), abs=1e-5)
    assert len({len(texts[0].ids) for texts in found}) > 1


def test_no_text_ends_before_its_least_number_of_tokens():
    model, sources = model_of(), some_sources([3, 5, 2])
    rules = dict(max_tokens=10, beams=3, ends={END})
    assert min(len(text.ids) for texts in write_texts(model, sources, **rules) for text in texts) <= 4
    shortest = []
    for least in range(1, 5):
        found = write_texts(model, sources, min_tokens=least, **rules)
        shortest.append(min(len(text.ids) for texts in found for text in texts) - least)
    assert min(shortest) == 1  # the end is not one of them


def test_batches_and_packed_matrices_change_nothing(monkeypatch):
    model, sources = model_of(), some_sources([3, 9, 1, 6, 9, 4])
    rules = dict(max_tokens=12, beams=3, ends={END})
    whole, rows = write_texts(model, sources, **rules), []
    assert isinstance(packed.for_writing(model).logits, packed.PackedLinear)
    encode = EncoderDecoder.encode
    monkeypatch.setattr(
        EncoderDecoder, "encode", lambda self, ids, *rest: rows.append(tuple(ids.shape)) or encode(self, ids, *rest)
    )
    assert_same(write_texts(model, sources, places_at_once=90, **rules), whole)
    assert rows == [(2, 9), (2, 6), (2, 3)]
    monkeypatch.setattr(writing, "for_writing", lambda model: Writer(model, model.logits))
    assert_same(write_texts(model, sources, **rules), whole)


def test_nodes_that_no_hypothesis_goes_on_from_are_dropped(monkeypatch):
    model, sources, widest = model_of(seed=6), some_sources([6, 4]), []
    branch = EncoderDecoder.branch
    monkeypatch.setattr(
        EncoderDecoder, "branch", lambda self, ids, state, place, visible: widest.append(visible.shape[2]) or
        branch(self, ids, state, place, visible),
    )  # fmt: skip
    rules = dict(max_tokens=30, beams=4, ends=())
    found = write_texts(model, sources, **rules)
    assert len(widest) == 30 and max(widest) < 30 * 4 * 0.75
    assert_same(found, one_at_a_time(model, sources, [30, 30], 4, ends=()))


def test_sources_are_written_in_the_order_given_and_may_be_empty():
    model = model_of(vocab_size=TOKENIZER.vocab_size, first=None)
    sources = [[5, 6, 7], [], [5]]
    found = write_texts(model, sources, max_tokens=3, beams=2)
    assert [len(texts) for texts in found] == [2, 2, 2]
    assert_same(
        found, [write_texts(model, [source or [TOKENIZER.end]], max_tokens=3, beams=2)[0] for source in sources]
    )
    assert write_texts(model, [], max_tokens=3) == []


def test_a_batch_holds_no_more_places_than_given():
    random = np.random.default_rng(0)
    sources, texts = random.integers(1, 30, 50).tolist(), random.integers(1, 60, 50).tolist()
    batches = list(batches_of(sources, texts, 200))
    assert sorted(itertools.chain(*batches)) == list(range(50))
    for batch in batches:
        assert len(batch) * (max(sources[row] for row in batch) + max(texts[row] for row in batch)) <= 200
    assert list(batches_of([500, 400], [1, 1], 10)) == [[0], [1]]


@pytest.mark.parametrize("v", [3, 64, 130, 640])
def test_the_best_extensions_are_those_of_a_whole_sort(v):
    generator = torch.Generator().manual_seed(v)
    scores = torch.randn(5, 3, v, generator=generator)
    scores[0, :, 1:] = scores[1, 1] = float("-inf")
    totals = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    for n in (1, 8, 3 * v):
        expected = (totals[..., None] + scores).flatten(1).topk(min(n, 3 * v)).values
        values, hypotheses, tokens = best_extensions(scores, totals, n)
        assert torch.equal(values, expected)
        rows = torch.arange(5)[:, None]
        real = values > float("-inf")
        assert torch.equal((totals[rows, hypotheses] + scores[rows, hypotheses, tokens])[real], values[real])
        for row in range(5):
            places = list(zip(hypotheses[row][real[row]].tolist(), tokens[row][real[row]].tolist(), strict=True))
            assert len(set(places)) == len(places)


def test_what_cannot_hold_is_refused():
    model, learned = model_of(), model_of("bart")
    for wrong in (dict(beams=0), dict(alpha=-1.0), dict(no_repeat_ngram=-1), dict(min_tokens=-1), dict(max_tokens=0)):
        with pytest.raises(SamplingError):
            write_texts(model, [[1]], **{"max_tokens": 3, **wrong})
    with pytest.raises(SamplingError, match="at most 40"):
        write_texts(learned, [[1]], max_tokens=41)
    assert len(write_texts(learned, [[1]], max_tokens=40, ends=())[0][0].ids) == 40
    with pytest.raises(RecipeError, match="41 tokens"):
        write_texts(learned, some_sources([41]), max_tokens=4)
    with torch.no_grad():
        model.embedding.weight.fill_(float("nan"))
    with pytest.raises(InkstoneError, match="damaged"):
        write_texts(model, [[1]], max_tokens=3)


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("variant", VARIANTS)
def test_texts_of_a_form_are_those_of_beam_search_under_it(variant, beams):
    texts = [TOKENIZER.decode([1, 2, 3]), TOKENIZER.decode([1, 2]), TOKENIZER.decode([4, 4, 5, 6, 7])]
    constraint, model = Constraint.choices(texts), model_of(variant)
    sources = some_sources([3, 9, 1, 6, 9])
    found = write_texts(model, sources, max_tokens=6, beams=beams, ends={END}, constraint=constraint)
    assert {TOKENIZER.decode(one.ids[:-1]) for each in found for one in each if one.ended} <= set(texts)
    assert all(each[0].ended for each in found)
    assert_same(found, one_at_a_time(model, sources, [6] * 5, beams, ends={END}, constraint=constraint))
    cut = write_texts(model, sources, max_tokens=2, beams=beams, ends={END}, constraint=constraint)
    begun = {TOKENIZER.decode(one.ids) for each in cut for one in each}
    assert all(any(text.startswith(beginning) for text in texts) for beginning in begun)
    assert not any(one.ended for each in cut for one in each)
