"""Slots of every family against `model.step` on each text by itself."""

import pytest
import torch

from inkstone.errors import RunError
from inkstone.inference.sampling import SamplingError
from inkstone.inference.slotted import slotted
from inkstone.layers.rotary import RotaryScaling
from inkstone.models import FAMILIES
from inkstone.models.base import JoinsRows
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.models.headed import Headed, HeadSettings
from models.test_contract import MODELS

from .decoders import byte_tokenizer, decoder
from .known_models import Markov

VARIANTS = {f"{family}/{name}": make for family, variants in MODELS.items() for name, make in variants.items()}
SLOTS = 6


def alone(model, ids) -> torch.Tensor:
    """Log-probabilities after a text that is read by itself, at once."""
    with torch.inference_mode():
        scores, _ = model.step(torch.tensor([ids]), model.start(1), last=True)
    return scores[0, -1, : model.tokenizer.vocab_size]


class Texts:
    """Texts in slots, and after each operation whether their log-probabilities are those of the texts alone."""

    def __init__(self, model, seed: int = 0, capacity: int = 48):
        self.model = model
        self.rows = slotted(model, SLOTS, capacity)
        self.random = torch.Generator().manual_seed(seed)
        self.highest = alone(model, [5]).numel()
        self.held: dict[int, list[int]] = {}

    def ids(self, n: int) -> list[int]:
        return torch.randint(4, self.highest, (n,), generator=self.random).tolist()

    def read(self, slot: int, n: int, start: int) -> None:
        self.held[slot] = self.held.get(slot, [])[:start] + self.ids(n)
        found = self.rows.read(slot, self.held[slot][start:], start)
        torch.testing.assert_close(found, alone(self.model, self.held[slot]), atol=2e-4, rtol=1e-4)

    def step(self, *slots: int) -> None:
        lengths = torch.tensor([len(self.held[slot]) for slot in slots])
        new = self.ids(len(slots))
        for slot, number in zip(slots, new, strict=True):
            self.held[slot] = [*self.held[slot], number]
        found = self.rows.step(torch.tensor(new), torch.tensor(slots), lengths)
        expected = torch.stack([alone(self.model, self.held[slot]) for slot in slots])
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)

    def copy(self, source: int, target: int, length: int) -> None:
        self.rows.copy(source, target, length)
        self.held[target] = self.held[source][:length]


def test_every_family_is_here():
    assert {name.partition("/")[0] for name in VARIANTS} == FAMILIES.keys()


@pytest.mark.parametrize("name", VARIANTS)
def test_rows_of_different_lengths_are_as_each_alone(name):
    texts = Texts(VARIANTS[name](), capacity=20)
    texts.read(2, 5, 0)
    texts.read(0, 1, 0)
    texts.read(2, 3, 5)  # a prompt in two chunks
    texts.read(5, 2, 0)
    texts.step(0, 2, 5)  # neither side by side nor of one length
    texts.step(0, 2, 5)
    texts.read(1, 4, 0)
    texts.step(0, 1, 2)  # one came, one left
    texts.step(2, 0, 5)
    texts.read(3, 1, 0)
    texts.step(0, 1, 2, 3)  # side by side
    texts.copy(2, 4, len(texts.held[2]))
    texts.step(4)  # and the source is as before
    texts.step(2, 4)
    texts.read(2, 2, 0)  # another text in a used slot
    texts.step(2, 1, 4)
    if texts.rows.rewinds:
        texts.copy(4, 5, 3)
        texts.read(5, 4, 3)
        texts.read(4, 2, 6)  # its own beginning
        texts.step(5, 4)


@pytest.mark.parametrize("layout", ["qwen3", "llama", "gpt2"])
def test_decoders_of_grouped_queries_over_a_whole_context(layout):
    texts = Texts(decoder(layout), capacity=1000)
    assert texts.rows.capacity == 96
    for slot, n in enumerate((1, 94, 33, 60)):
        texts.read(slot, n, 0)
    texts.step(0, 1, 2, 3)
    texts.step(3, 1, 0)
    assert len(texts.held[1]) == 96


def test_frequencies_that_depend_on_the_length_are_those_of_each_row():
    scaling = RotaryScaling("dynamic", 4.0, original_context=8)
    model = decoder(rotary_scaling=scaling)
    together, apart = (slotted(model, 2, 64) for _ in range(2))
    lengths = (3, 30)
    for rows in (together, apart):
        for slot, n in enumerate(lengths):
            rows.read(slot, [5 + slot] * n, 0)
    found = together.step(torch.tensor([9, 9]), torch.tensor([0, 1]), torch.tensor(lengths))
    for slot, n in enumerate(lengths):
        alone_ = apart.step(torch.tensor([9]), torch.tensor([slot]), torch.tensor([n]))
        torch.testing.assert_close(found[slot], alone_[0], atol=1e-5, rtol=1e-5)


JOIN = {"ngram", "hmm", "neural_ngram", "recurrent", "convolutional"}


@pytest.mark.parametrize("name", [name for name in VARIANTS if name.partition("/")[0] in JOIN])
def test_states_that_join_are_read_together(name, monkeypatch):
    texts = Texts(VARIANTS[name]())
    assert isinstance(texts.model.start(1), JoinsRows)
    for slot in range(3):
        texts.read(slot, slot + 1, 0)
    shapes, step = [], texts.model.step
    monkeypatch.setattr(
        texts.model, "step", lambda ids, *rest, **more: shapes.append(ids.shape) or step(ids, *rest, **more)
    )
    texts.rows.step(torch.tensor([5, 6, 7]), torch.tensor([0, 1, 2]), torch.tensor([1, 2, 3]))
    assert shapes == [(3, 1)]


def writer(**changes) -> Headed:
    shape = {"vocab_size": 280, "width": 24, "n_layers": 2, "n_heads": 4, "hidden": 32, "context": 40}
    generator = torch.Generator().manual_seed(0)
    model = EncoderDecoder(EncoderDecoderSettings(**{**shape, **changes}), byte_tokenizer()).initialise(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return Headed(model, HeadSettings("text")).eval()


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
def test_texts_to_sources_of_different_lengths(positions):
    model = writer(positions=positions, first=7)
    rows = slotted(model, 4, 60)
    assert rows.apart and rows.capacity == (40 if positions == "learned" else 60)
    sources = {1: [9, 8, 7, 6, 5], 3: [40], 2: list(range(10, 31))}
    written: dict[int, list[int]] = {slot: [] for slot in sources}

    def expected(slot: int) -> torch.Tensor:
        with torch.inference_mode():
            memory = model.body.encode(torch.tensor([sources[slot]]))
            ids = torch.tensor([[model.body.first, *written[slot]]])
            scores, _ = model.body.step(ids, model.body.start(1, memory), last=True)
        return scores[0, -1, : model.tokenizer.vocab_size]

    def step(*slots: int) -> None:
        lengths = torch.tensor([len(written[slot]) for slot in slots])
        for slot in slots:
            written[slot].append(20 + slot)
        found = rows.step(torch.tensor([20 + slot for slot in slots]), torch.tensor(slots), lengths)
        for slot, scores in zip(slots, found, strict=True):
            torch.testing.assert_close(scores, expected(slot), atol=1e-4, rtol=1e-4)

    for slot, source in sources.items():
        torch.testing.assert_close(rows.read(slot, source, 0), expected(slot), atol=1e-4, rtol=1e-4)
    step(1, 2, 3)
    step(3, 1)
    step(1, 2)
    rows.copy(1, 0, len(written[1]))
    sources[0], written[0] = sources[1], written[1][:]
    step(0, 1, 2, 3)
    step(0, 3)


def test_a_conversing_head_is_its_decoder():
    body = decoder()
    found = slotted(Headed(body, HeadSettings("next")), 1, 20).read(0, [5, 6], 0)
    torch.testing.assert_close(found, alone(body, [5, 6]))


def test_what_cannot_write_is_refused():
    with pytest.raises(RunError, match=r"kind 'class'.*inkstone predict"):
        slotted(Headed(decoder(), HeadSettings("class", labels=("a", "b"))), 2, 20)
    for slots, capacity in ((0, 5), (5, 0)):
        with pytest.raises(SamplingError, match="at least 1"):
            slotted(Markov.random(3, 0), slots, capacity)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("layout", ["qwen3", "gpt2"])
def test_on_a_gpu_as_on_the_cpu(layout):
    texts = Texts(decoder(layout))
    texts.rows = slotted(decoder(layout).cuda(), SLOTS, 48)
    texts.read(2, 5, 0)
    texts.read(4, 9, 0)
    texts.step(2, 4)
    texts.copy(4, 0, 6)
    texts.read(0, 2, 6)
    texts.step(0, 2, 4)
