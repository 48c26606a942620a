"""Text from a saved folder against `transformers.generate` on the same folder."""

import pytest
import torch

from inkstone.hub.folder import load, save
from inkstone.inference.beam_search import beam_search
from inkstone.inference.generation import generate

from .decoders import byte_tokenizer, decoder

transformers = pytest.importorskip("transformers")

PROMPT = "ink "
TOKENS = 40


@pytest.fixture(scope="module", params=["qwen3", "llama", "gpt2"])
def pair(request, tmp_path_factory):
    """Our model and theirs, from one folder. Only the tokenizer's ids are rows here: `transformers` would draw the rest."""
    folder = tmp_path_factory.mktemp(request.param)
    save(decoder(request.param, vocab_size=byte_tokenizer().vocab_size), folder)
    return load(folder), transformers.AutoModelForCausalLM.from_pretrained(folder)


def ids_of_prompt() -> torch.Tensor:
    return torch.tensor([[byte_tokenizer().end, *byte_tokenizer().encode(PROMPT)]])


def continuations(theirs, **options) -> list[tuple[int, ...]]:
    """The peer's new tokens, without the padding after the end."""
    ids = ids_of_prompt()
    end = byte_tokenizer().end
    rows = theirs.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=end, eos_token_id=end, **options)
    new = [row[ids.shape[1] :].tolist() for row in rows]
    return [tuple(row[: row.index(end) + 1] if end in row else row) for row in new]


def test_greedy_text_is_the_same(pair):
    ours, theirs = pair
    written = generate(ours, PROMPT, temperature=0.0, max_tokens=TOKENS)[0]
    assert [written.ids] == continuations(theirs, max_new_tokens=TOKENS, do_sample=False)


def test_greedy_text_with_a_repetition_penalty_is_not_one_token_over_and_over(pair):
    ours, _ = pair
    plain, penalised = (
        generate(ours, PROMPT, temperature=0.0, max_tokens=TOKENS, repetition_penalty=r)[0] for r in (1.0, 1.5)
    )
    assert len(set(penalised.ids)) > len(set(plain.ids))


@pytest.mark.parametrize("beams", [2, 4])
@pytest.mark.parametrize("no_repeat_ngram", [0, 2])
def test_beams_are_the_same(pair, beams, no_repeat_ngram):
    # Exponent 0: the two length penalties differ (theirs is |Y|^α), and agree where there is none.
    ours, theirs = pair
    found = beam_search(ours, PROMPT, beams, max_tokens=12, alpha=0.0, no_repeat_ngram=no_repeat_ngram)
    expected = continuations(
        theirs,
        max_new_tokens=12,
        num_beams=beams,
        num_return_sequences=beams,
        do_sample=False,
        length_penalty=0.0,
        no_repeat_ngram_size=no_repeat_ngram,
        early_stopping="never",
    )
    assert [hypothesis.ids for hypothesis in found] == expected
