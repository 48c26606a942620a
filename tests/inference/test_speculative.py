"""Texts with a draft against the same texts without, and against all texts of a small vocabulary counted out."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from inkstone.errors import RunError
from inkstone.inference.constrained import Constraint
from inkstone.inference.draft_pace import Pace
from inkstone.inference.drafts import LookUp, ModelDraft
from inkstone.inference.generation import generate, stream
from inkstone.inference.sampling import Sampling, SamplingError
from inkstone.inference.speculative import Speculation
from inkstone.models.convolutional import Convolutional
from inkstone.models.encoder_decoder import EncoderDecoder
from inkstone.models.hmm import HMM
from inkstone.models.neural_ngram import NeuralNgram
from inkstone.models.ngram import NGram, NGramSettings
from inkstone.models.recurrent import Recurrent
from inkstone.tokens.shards import write_shards

from .decoders import byte_tokenizer, decoder
from .known_models import Markov, scripted

AS_IT_IS = {"temperature": 1.0, "min_p": 0.0}
TOKENS = 4  # of the texts that are counted out
LETTERS = 3

# Each of the filters alone, and all together.
FILTERS = {
    "none": {},
    "temperature": {"temperature": 0.6},
    "top_k": {"top_k": 2},
    "top_p": {"top_p": 0.7},
    "min_p": {"min_p": 0.4},
    "penalty": {"repetition_penalty": 2.0},
    "written": {"presence_penalty": 0.3, "frequency_penalty": 0.4},
    "all": {"temperature": 0.8, "top_k": 3, "top_p": 0.95, "min_p": 0.05, "repetition_penalty": 1.3},
}


def exact(model: Markov, first: list[int], sampling: Sampling) -> dict[tuple[int, ...], float]:
    """The probability of each text of at most `TOKENS` tokens, by the chain rule."""
    found: dict[tuple[int, ...], float] = {}

    def go(written: tuple[int, ...], probability: float):
        if len(written) == TOKENS or (written and written[-1] == model.tokenizer.end):
            found[written] = probability
            return
        read = torch.tensor([[*first, *written]])
        p = sampling.warp(model.table[read[:, -1]], read, len(first))[0].softmax(-1)
        for token, share in enumerate(p.tolist()):
            if share > 0:
                go((*written, token), probability * share)

    go((), 1.0)
    return found


def chi_square(seen: Counter, expected: dict[tuple[int, ...], float], draws: int) -> tuple[float, int]:
    """The statistic, texts that are expected fewer than five times taken together, and its degrees of freedom."""
    rare = [text for text, share in expected.items() if share * draws < 5]
    pairs = [(seen[text], share * draws) for text, share in expected.items() if text not in rare]
    if rare:
        pairs.append((sum(seen[text] for text in rare), sum(expected[text] for text in rare) * draws))
    return sum((o - e) ** 2 / e for o, e in pairs if e > 0), len(pairs) - 1


def limit(freedom: int) -> float:
    """About the 99.99 % quantile of chi-square (Wilson & Hilferty 1931)."""
    return freedom * (1 - 2 / (9 * freedom) + 3.72 * math.sqrt(2 / (9 * freedom))) ** 3


@pytest.mark.slow
@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("draft", ["other", "itself", "lookup"])
def test_texts_are_distributed_as_without_a_draft_under_each_filter(filters, draft):
    counted_out(filters, draft, draws=3000)


@pytest.mark.parametrize(("filters", "draft"), [("none", "other"), ("all", "other"), ("all", "lookup")])
def test_texts_are_distributed_as_without_a_draft(filters, draft):
    counted_out(filters, draft, draws=700)


def counted_out(filters, draft, draws):
    model = Markov.random(LETTERS, seed=0)
    drafts = {"other": Markov(model.tokenizer, Markov.random(LETTERS, seed=1).table), "itself": model}
    sampling = {**AS_IT_IS, **FILTERS[filters]}
    guesser = LookUp(2, 1) if draft == "lookup" else ModelDraft(drafts[draft])
    prompt = [3, 0, 1, 0, 2, 0]
    speculation = Speculation(guesser, tokens=2, always=True)
    pieces = stream(model, prompt, Sampling(max_tokens=TOKENS, **sampling), draws, speculation=speculation)
    done = [piece.generated for piece in pieces if piece.generated]
    expected = exact(model, prompt, Sampling(**sampling))
    assert sum(expected.values()) == pytest.approx(1, abs=1e-5)
    seen = Counter(one.ids for one in done)
    assert seen.keys() <= expected.keys()
    statistic, freedom = chi_square(seen, expected, draws)
    assert statistic < limit(freedom)
    accepted, drafted = (sum(getattr(one.speculated, name) for one in done) for name in ("accepted", "drafted"))
    assert drafted > draws / 2
    if draft == "itself":
        assert accepted == drafted
    else:
        assert 0.05 < accepted / drafted < 0.97


def test_a_guess_stands_as_often_as_the_two_models_agree():
    model, other = Markov.random(6, seed=0), Markov.random(6, seed=1)
    other = Markov(model.tokenizer, other.table)
    speculation = Speculation(ModelDraft(other), tokens=1, always=True)
    draws = 800
    sampling = Sampling(max_tokens=3, **AS_IT_IS)
    pieces = stream(model, [0], sampling, draws, ends=(), speculation=speculation)
    done = [piece.generated for piece in pieces if piece.generated]
    p, q = model.table.double().exp(), other.table.double().exp()  # by the token before
    agree = torch.stack(
        [1 / torch.maximum(p / p[:, [i]], q / q[:, [i]]).sum(-1) for i in range(p.shape[1])], dim=-1
    ).sum(-1)
    apart = 1 - torch.minimum(p, q).sum(-1)
    assert bool((agree >= (1 - apart) / (1 + apart)).all()) and bool((agree <= 1 - apart).all())
    # The first token is drawn plainly; the guess is at the second.
    expected = (p[0] * agree).sum().item()
    assert all(one.speculated.drafted == 1 for one in done)
    accepted = sum(one.speculated.accepted for one in done) / draws
    assert accepted == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / draws))


def families() -> dict[str, torch.nn.Module]:
    tokenizer = byte_tokenizer()
    generator = torch.Generator().manual_seed(0)
    made = {layout: decoder(layout) for layout in ("qwen3", "llama", "gpt2")}
    for name, family in {
        "recurrent": Recurrent,
        "convolutional": Convolutional,
        "neural_ngram": NeuralNgram,
        "encoder_decoder": EncoderDecoder,
    }.items():
        settings = family.Settings.of_size(tokenizer.vocab_size, 32, 1)
        made[name] = family(settings, tokenizer).initialise(generator).eval()
    made["hmm"] = HMM(HMM.Settings(vocab_size=tokenizer.vocab_size, states=6), tokenizer).initialise(generator).eval()
    counts = NGram(NGramSettings(tokenizer.vocab_size, order=3), tokenizer)
    counts.fit([torch.randint(97, 103, (400,), generator=generator).numpy()])
    return made | {"ngram": counts}


FAMILIES = (
    "qwen3",
    "llama",
    "gpt2",
    "recurrent",
    "convolutional",
    "neural_ngram",
    "encoder_decoder",
    "hmm",
    "ngram",
)


@pytest.fixture(scope="module")
def models():
    return families()


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_text_is_the_same_whatever_is_guessed(models, family):
    model, samples = models[family], 2
    prompt = [byte_tokenizer().end, *b"inkink in"]
    options = {"temperature": 0.0, "repetition_penalty": 1.05}
    plain = generate(model, prompt, samples=samples, max_tokens=16, **options)
    for draft in (LookUp(3, 1), models["ngram"], models["qwen3" if family == "recurrent" else "recurrent"]):
        guessed = spoken(model, prompt, draft, samples, max_tokens=16, **options)
        assert [one.ids for one in guessed] == [one.ids for one in plain]
        for one, other in zip(guessed, plain, strict=True):
            assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


def spoken(model, prompt, draft, samples=1, tokens=3, **settings):
    draft = draft if isinstance(draft, LookUp) else ModelDraft(draft)
    pieces = stream(model, prompt, Sampling(**settings), samples, speculation=Speculation(draft, tokens, always=True))
    done = sorted((piece for piece in pieces if piece.generated), key=lambda piece: piece.sample)
    return [piece.generated for piece in done]


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"repetition_penalty": 1.02},
        {"frequency_penalty": 0.3, "presence_penalty": -0.2},
        {"min_p": 0.1, "top_k": 9},
    ],
)
def test_with_look_up_the_text_is_that_of_the_same_seed(samples, options):
    model = decoder()
    settings = {"temperature": 0.7, "seed": 5, "max_tokens": 60, **options}
    plain = generate(model, [1, 2, 3, 1, 2], samples=samples, **settings)
    guessed = spoken(model, [1, 2, 3, 1, 2], LookUp(2, 1), samples, **settings)
    assert [one.ids for one in guessed] == [one.ids for one in plain]
    assert sum(one.speculated.drafted for one in guessed) > 0


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("layout", ["qwen3", "gpt2"])
def test_a_text_longer_than_the_context_goes_on_as_without(layout, endless):
    model = decoder(layout, context=24)
    settings = {"temperature": 0.0, "max_tokens": 60, "endless": endless}
    plain = generate(model, [1, 2, 3, 1, 2], samples=2, **settings)
    small = decoder(layout, context=16)
    for draft in (LookUp(3, 1), small):
        guessed = generate(model, [1, 2, 3, 1, 2], samples=2, draft=draft, **settings)
        assert [one.ids for one in guessed] == [one.ids for one in plain]


def test_right_guesses_save_steps():
    model = decoder()
    steps = []
    step = model.step
    model.step = lambda ids, state, last=False: (steps.append(ids.shape[1]), step(ids, state, last))[1]  # type: ignore[method-assign]
    settings = {"temperature": 0.0, "max_tokens": 40}
    model.double()  # no fast step, which would not be counted
    one = spoken(model, [5], decoder().double(), tokens=4, **settings)[0]
    assert one.speculated.acceptance == 1
    assert len(steps) <= 1 + math.ceil(39 / 5) and max(steps) == 5


@pytest.mark.parametrize("stop", [("le",), ("zz", "le", "let")])
def test_a_stop_string_inside_a_guess_ends_the_text(stop):
    model = scripted("hamlet")
    one = spoken(model, "h", scripted("hamlet"), tokens=6, stop=stop, temperature=0.0)[0]
    assert (one.text, one.finish_reason) == ("am", "stop")


def test_an_end_inside_a_guess_ends_the_text_and_the_budget_holds():
    one = spoken(scripted("hamlet"), "h", scripted("hamlet"), tokens=20, temperature=0.0)[0]
    assert (one.text, one.finish_reason, one.ids[-1]) == ("amlet", "end", 26)
    for most in range(1, 6):
        cut = spoken(scripted("hamlet"), "h", scripted("hamlet"), tokens=4, temperature=0.0, max_tokens=most)[0]
        assert (cut.text, len(cut.ids)) == ("amlet"[:most], most)


@pytest.mark.parametrize("seed", range(4))
def test_a_form_is_kept_to_whatever_is_guessed(models, seed):
    form = Constraint.regex(r"[0-9]{3}-(ab|cd)+\.")
    sampling = Sampling(temperature=1.0, min_p=0.0, seed=seed, max_tokens=60)
    prompt = [byte_tokenizer().end, *b"12-abab"]
    for draft in (LookUp(2, 1), ModelDraft(models["ngram"]), ModelDraft(models["qwen3"])):
        speculation = Speculation(draft, 4, always=True)
        pieces = stream(models["qwen3"], prompt, sampling, 2, constraint=form, speculation=speculation)
        for one in (piece.generated for piece in pieces if piece.generated):
            assert one.finish_reason == "length" or form.accepts(one.text)
    plain = stream(models["qwen3"], prompt, sampling, 2, constraint=form)
    looked = stream(
        models["qwen3"], prompt, sampling, 2, constraint=form, speculation=Speculation(LookUp(2, 1), 4, True)
    )
    written = [sorted((p.sample, p.generated.ids) for p in pieces if p.generated) for pieces in (plain, looked)]
    assert written[0] == written[1]


class OnlyLetters:
    """A form in which some letters may stand anywhere, and no others."""

    def __init__(self, *letters: int):
        self.letters = list(letters)

    def begin(self, tokenizer, ends) -> "OnlyLetters":
        self.size = tokenizer.vocab_size
        return self

    def copy(self) -> "OnlyLetters":
        return self

    def then(self, token: int) -> "OnlyLetters":
        self.take(token)
        return self

    def take(self, token: int) -> None:
        assert token in self.letters

    def allowed(self) -> np.ndarray:
        return np.isin(np.arange(self.size), self.letters)

    def forced(self) -> int | None:
        return self.letters[0] if len(self.letters) == 1 else None


def test_texts_of_a_form_are_distributed_as_without_a_draft_that_does_not_know_it():
    model, draws = Markov.random(LETTERS, seed=0), 3000
    likes_what_is_forbidden = torch.tensor([2.0, 2.0, -2.0, 0.0]).expand(4, 4)
    draft = Markov(model.tokenizer, likes_what_is_forbidden)
    speculation = Speculation(ModelDraft(draft), tokens=2, always=True)
    sampling = Sampling(max_tokens=3, **AS_IT_IS)
    pieces = stream(model, [0], sampling, draws, ends=(), constraint=OnlyLetters(1, 2), speculation=speculation)  # type: ignore[arg-type]
    seen = Counter(piece.generated.ids for piece in pieces if piece.generated)
    p = model.table.exp()[:, [1, 2]]
    p = p / p.sum(-1, keepdim=True)
    expected = {
        ids: math.prod(p[before, after - 1].item() for before, after in itertools.pairwise((0, *ids)))
        for ids in itertools.product((1, 2), repeat=3)
    }
    statistic, freedom = chi_square(seen, expected, draws)
    assert statistic < limit(freedom)


def test_a_text_that_is_ahead_and_has_no_guess_may_be_guessed_at_again():
    """Where the form forbids what is guessed, a text waits for one beside it, and is then asked about once more."""
    drafter = ModelDraft(decoder()).begin()
    first, again = (drafter.propose([5, 6, 7], 3, Sampling(temperature=0.0), torch.empty) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("options", [{}, {"top_k": 20, "repetition_penalty": 1.1}, {"frequency_penalty": 0.2}])
def test_a_seed_gives_one_text_whatever_is_guessed_and_whenever(models, monkeypatch, options):
    settings = {"temperature": 1.0, "seed": 3, "max_tokens": 40, **options}
    written = []
    for draft in ("ngram", "recurrent"):
        for lengths in ([0], [1], [4], [0, 3, 0, 0, 1, 2], [5, 0, 1]):  # as one clock or another would have it
            turns = itertools.cycle(lengths)
            monkeypatch.setattr(Pace, "most", lambda pace, turns=turns: next(turns))
            done = spoken(models["qwen3"], [1, 2], models[draft], 2, tokens=5, **settings)
            assert (sum(one.speculated.drafted for one in done) > 0) == (lengths != [0])
            written.append([one.ids for one in done])
    assert all(ids == written[0] for ids in written)
    other = spoken(models["qwen3"], [1, 2], models["ngram"], 2, **{**settings, "seed": 4})
    assert [one.ids for one in other] != written[0] and written[0][0] != written[0][1]


def test_a_draft_needs_the_same_tokens_and_a_run_its_text(tmp_path):
    with pytest.raises(RunError, match="other tokens"):
        generate(decoder(), [1], draft=_with_other_tokens())
    with pytest.raises(RunError, match="name the run folder"):
        generate(decoder(), [1], draft="ngram")
    with pytest.raises(SamplingError, match="draft_tokens = 0"):
        generate(decoder(), [1], draft="lookup", draft_tokens=0)
    with pytest.raises(SamplingError, match="leave out draft"):
        generate(decoder(), [1], draft="lookup", beams=2)


def test_an_n_gram_is_counted_from_the_text_of_the_run(tmp_path):
    from inkstone.hub.folder import save

    save(decoder(), tmp_path)
    with pytest.raises(RunError, match="holds no training text"):
        generate(tmp_path, "ab", draft="ngram")
    write_shards([["abcabcabcabd" * 20]], byte_tokenizer(), tmp_path / "shards" / "train")
    plain, guessed = (generate(tmp_path, "ab", temperature=0.0, max_tokens=30, draft=d)[0] for d in (None, "ngram"))
    assert guessed.ids == plain.ids and guessed.speculated.drafted > 0


def _with_other_tokens():
    from inkstone.tokens.learning import learn_tokenizer

    other = decoder()
    other.tokenizer = learn_tokenizer(iter(["ink on paper, ink on paper"] * 3), "byte-bpe", 262)
    return other


def test_look_up_finds_what_followed_last():
    drafter = LookUp(3, 2).begin()
    text = [1, 2, 3, 4, 9, 2, 3, 5, 6, 2, 3]

    def guess(n):
        return drafter.propose(text[:n], 3, Sampling(), torch.empty)

    assert [guess(n) for n in range(len(text) + 1)] == [[]] * 7 + [[4, 9, 2]] + [[]] * 3 + [[5, 6, 2]]
    assert LookUp(3, 1).begin().propose([7, 7, 7], 4, Sampling(), torch.empty) == [7]
    for text in itertools.product(range(2), repeat=7):
        found = LookUp(3, 1).begin().propose(text, 2, Sampling(), torch.empty)
        assert found == _looked_up(list(text))


def _looked_up(text):
    for size in (3, 2, 1):
        for end in range(len(text) - 1, size - 1, -1):
            if text[end - size : end] == text[-size:]:
                return text[end : end + 2]
    return []
