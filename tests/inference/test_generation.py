"""Generation from models whose distribution is known, and from decoders against reading the text anew at each token."""

import itertools
import math
from collections import Counter

import pytest
import torch

from inkstone.errors import InkstoneError, RunError
from inkstone.inference.generation import generate, stream
from inkstone.inference.sampling import Sampling, SamplingError
from inkstone.models.headed import Headed, HeadSettings

from .decoders import byte_tokenizer, decoder
from .known_models import Markov, scripted

GREEDY = {"temperature": 0.0, "min_p": 0.0}
AS_IT_IS = {"temperature": 1.0, "min_p": 0.0}


def streamed(model, prompt, sampling, **options):
    return [piece.text for piece in stream(model, prompt, sampling, **options)]


def test_it_writes_until_the_end_token():
    written = generate(scripted("hamlet"), "h", **GREEDY)[0]
    assert (written.text, written.finish_reason) == ("amlet", "end")
    assert written.ids[-1] == 26 and len(written.ids) == 6
    assert written.log_probability == pytest.approx(0, abs=1e-6)
    assert written.tokens_per_second > 0


def test_an_empty_prompt_begins_a_document():
    assert generate(scripted("hamlet"), "", **GREEDY)[0].text == "hamlet"
    assert [piece.text for piece in stream(scripted("hamlet"), [], Sampling(**GREEDY))] == [*"hamlet", ""]


def test_tokens_are_counted():
    assert generate(scripted("hamlet"), "h", max_tokens=3, **GREEDY)[0].text == "aml"
    cut = generate(scripted("hamlet"), "h", max_length=4, **GREEDY)[0]  # end token, h, and two more
    assert (cut.text, cut.finish_reason) == ("am", "length")
    with pytest.raises(SamplingError, match="the prompt alone has 4 tokens"):
        generate(scripted("hamlet"), "ham", max_length=4)


@pytest.mark.parametrize("stop", [("le",), ("zz", "le", "let"), "le"])
def test_a_stop_string_over_the_border_of_tokens_is_left_out(stop):
    written = generate(scripted("hamlet"), "h", stop=stop, **GREEDY)[0]
    assert (written.text, written.finish_reason) == ("am", "stop")
    pieces = streamed(scripted("hamlet"), "h", Sampling(stop=("le",), **GREEDY))
    assert pieces == ["a", "m", ""]


def test_text_that_only_began_like_a_stop_string_is_given_out_in_the_end():
    assert generate(scripted("hamlet"), "h", stop=("lex", "tt"), **GREEDY)[0].text == "amlet"
    assert generate(scripted("hamlet"), "h", stop=("lex",), max_tokens=4, **GREEDY)[0].text == "amle"


def test_characters_come_out_whole():
    tokenizer = byte_tokenizer()
    table = torch.full((tokenizer.vocab_size, tokenizer.vocab_size), -50.0)
    path = [tokenizer.end, *tokenizer.encode("a墨b"), tokenizer.end]
    for now, then in itertools.pairwise(path):
        table[now, then] = 0.0
    model = Markov(tokenizer, table)
    assert streamed(model, "", Sampling(**GREEDY)) == ["a", "墨", "b", ""]
    assert generate(model, "", max_tokens=3, **GREEDY)[0].text == "a"  # two of the three bytes of 墨


def test_samples_have_the_frequencies_of_the_model():
    model = Markov.random(letters=5, seed=0)
    draws = 4000
    firsts = Counter(one.ids[0] for one in generate(model, "", samples=draws, max_tokens=1, **AS_IT_IS))
    expected = model.table[model.tokenizer.end].exp() * draws
    chi_square = sum((firsts[token] - expected[token].item()) ** 2 / expected[token].item() for token in range(6))
    assert chi_square < 20.5  # the 99.9 % quantile at 5 degrees of freedom


def test_a_sample_is_the_same_however_many_are_drawn_beside_it():
    model = Markov.random(letters=20, seed=1)
    many = generate(model, "abc", samples=6, seed=7, max_tokens=30, **AS_IT_IS)
    assert len({one.ids for one in many}) == 6
    few = generate(model, "abc", samples=2, seed=7, max_tokens=30, **AS_IT_IS)
    assert [one.ids for one in few] == [one.ids for one in many[:2]]
    assert generate(model, "abc", seed=8, max_tokens=30, **AS_IT_IS)[0].ids != many[0].ids


def test_log_probabilities_are_those_of_the_model_before_any_filter():
    model = Markov.random(letters=20, seed=2)
    for one in generate(model, "a", samples=4, temperature=0.5, top_k=3, repetition_penalty=1.5, max_tokens=20):
        path = [0, *one.ids]
        expected = [model.table[now, then].item() for now, then in itertools.pairwise(path)]
        assert one.log_probabilities == pytest.approx(expected)


def test_the_prompt_is_read_once_and_then_a_token_a_step():
    model = Markov.random(letters=20, seed=3)
    reads = []
    step = model.step
    model.step = lambda ids, state, last=False: (reads.append(tuple(ids.shape)), step(ids, state, last))[1]
    generate(model, "abcd", samples=3, max_tokens=4, **AS_IT_IS)
    assert reads[0] == (1, 5) and all(shape[1] == 1 for shape in reads[1:])


@pytest.mark.parametrize("layout", ["qwen3", "llama", "gpt2"])
@pytest.mark.parametrize("samples", [1, 3])
def test_decoders_write_what_reading_anew_at_each_token_gives(layout, samples):
    model = decoder(layout)
    read = [byte_tokenizer().end, *b"ink"]
    with torch.inference_mode():
        for one in generate(model, read, samples=samples, max_tokens=40, seed=3, **AS_IT_IS):
            assert len(one.ids) > 3
            whole = torch.tensor([[*read, *one.ids]])
            expected = model(whole).log_softmax(-1)[0, len(read) - 1 : -1]
            chosen = expected.gather(1, torch.tensor(one.ids)[:, None])[:, 0].tolist()
            assert one.log_probabilities == pytest.approx(chosen, abs=1e-3)


@pytest.mark.parametrize("layout", ["qwen3", "gpt2"])
def test_a_text_longer_than_the_context_goes_on(layout):
    model = decoder(layout, context=16)
    with torch.inference_mode():
        one, other = generate(model, [5] * 10, samples=2, max_tokens=60, temperature=1.0)
        for written in (one, other):
            assert len(written.ids) == 60 or written.finish_reason == "end"
        assert max(len(one.ids), len(other.ids)) > 16
        long_prompt = generate(model, [5, 6, 7] * 20, max_tokens=1, temperature=0.0)[0]
        assert long_prompt.ids[0] == int(
            model(torch.tensor([([5, 6, 7] * 20)[-8:]]))[0, -1, : byte_tokenizer().vocab_size].argmax()
        )


def test_rows_of_a_padded_vocabulary_are_never_drawn():
    model = decoder()  # 300 rows, fewer tokens
    with torch.no_grad():
        model.embedding.weight[byte_tokenizer().vocab_size :] *= 50
    written = generate(model, "a", samples=20, max_tokens=20, temperature=2.0, min_p=0.0)
    assert max(max(one.ids) for one in written) < byte_tokenizer().vocab_size


def test_damaged_weights_are_named():
    model = decoder()
    with torch.no_grad():
        model.norm.weight[0] = math.nan
    with pytest.raises(InkstoneError, match="not numbers"):
        generate(model, "a")


def test_beams_give_their_best_first():
    model = Markov.random(letters=6, seed=5)
    written = generate(model, "a", beams=4, samples=3, max_tokens=5, length_penalty=0.0)
    assert [one.log_probability for one in written] == sorted((one.log_probability for one in written), reverse=True)
    assert all(one.text == model.tokenizer.decode(one.ids) for one in written)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"samples": 0}, "samples = 0"),
        ({"beams": 0}, "beams = 0"),
        ({"beams": 2, "samples": 3}, "at most as many"),
        ({"beams": 2, "temperature": 1.0}, "leave out temperature"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(SamplingError, match=words):
        generate(scripted("ab"), "a", **options)


@pytest.mark.parametrize("beams", [1, 2])
def test_what_cannot_be_compiled_says_so(beams):
    with pytest.raises(InkstoneError, match="can be compiled"):
        generate(scripted("hamlet"), "h", beams=beams, compiled=True)


@pytest.mark.parametrize("beams", [1, 2])
def test_a_model_tuned_for_a_task_is_named_as_such(beams):
    tuned = Headed(decoder(), HeadSettings("class", labels=("good", "bad")))
    with pytest.raises(RunError, match=r"was tuned for a task.*inkstone predict"):
        generate(tuned, "ink", beams=beams)
