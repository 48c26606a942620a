"""Writing from a latent vector: the greedy path by hand, ends, paths between two places, refusals."""

import numpy as np
import pytest
import torch

from inkstone.errors import TextError
from inkstone.inference.latent_text import interpolate, path, posterior_means, reconstruct, sample, write
from inkstone.models.text_vae import TextVAE, TextVAESettings
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.sentence_ends import openings

TOKENIZER = learn_tokenizer(iter(["ink on stone"] * 20), "byte-bpe", 270)


@pytest.fixture(scope="module", params=["lstm", "transformer"])
def model(request) -> TextVAE:
    settings = TextVAESettings(
        TOKENIZER.vocab_size, width=16, n_layers=1, n_heads=2, context=9, latent=4, body=request.param
    )
    generator = torch.Generator().manual_seed(0)
    model = TextVAE(settings, TOKENIZER).initialise(generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


@torch.no_grad()
def likeliest(model: TextVAE, z: torch.Tensor) -> str:
    """Token by token, the whole text read anew each time."""
    ids = [TOKENIZER.end]
    for _ in range(model.settings.context):
        scores, _ = model.step(torch.tensor([ids]), model.start(1, z[None]))
        token = int(scores[0, -1].argmax())
        if token == TOKENIZER.end:
            break
        ids.append(token)
        if openings(torch.tensor([ids]), model.piece_ends)[0][0, -1]:
            break
    return TOKENIZER.decode(ids[1:])


def test_the_likeliest_token_each_time(model):
    z = torch.randn(3, 4, generator=torch.Generator().manual_seed(1)) * 2
    assert write(model, z) == [likeliest(model, one) for one in z]


def test_a_text_ends_at_its_end_token_though_others_go_on(model):
    bias = model.embedding.weight.detach().clone()
    try:
        with torch.no_grad():
            model.embedding.weight[TOKENIZER.end] *= 40  # now the end is likely for some vectors, impossible for others
        z = torch.randn(8, 4, generator=torch.Generator().manual_seed(1)) * 2
        assert write(model, z) == [likeliest(model, one) for one in z]
    finally:
        with torch.no_grad():
            model.embedding.weight.copy_(bias)


def test_a_text_ends_where_its_sentence_does(model):
    bias = model.embedding.weight.detach().clone()
    dot = TOKENIZER.encode(".")[0]
    try:
        with torch.no_grad():
            model.embedding.weight[dot] *= 40
        z = torch.randn(8, 4, generator=torch.Generator().manual_seed(1)) * 2
        written = write(model, z)
        assert written == [likeliest(model, one) for one in z]
        assert any(text.endswith(".") for text in written) and not all(text.endswith(".") for text in written)
    finally:
        with torch.no_grad():
            model.embedding.weight.copy_(bias)


def test_a_sentence_is_placed_as_in_training_and_two_are_refused(model):
    alone = posterior_means(model, ["ink.", "stone"])
    pieces, _ = model.pieces_of([np.array(TOKENIZER.encode("ink. stone"))])
    with torch.no_grad():
        torch.testing.assert_close(alone[:1], model.encode(pieces.rows(torch.tensor([0])))[0])
    with pytest.raises(TextError, match=r"more than one sentence.*'ink\.'"):
        posterior_means(model, ["stone", "ink. on"])


def test_samples_hold_under_a_seed(model):
    assert sample(model, 3, seed=5) == sample(model, 3, seed=5) != sample(model, 3, seed=6)
    assert len(sample(model, 2, temperature=0)) == 2


def test_a_reconstruction_is_written_from_the_mean_alone(model):
    means = posterior_means(model, ["ink", "on stone"])
    pieces, _ = model.pieces_of([np.array(TOKENIZER.encode(text)) for text in ("ink", "on stone")])
    with torch.no_grad():
        torch.testing.assert_close(means, model.encode(pieces)[0])
    assert reconstruct(model, ["ink", "on stone"]) == write(model, means)


def test_the_way_begins_and_ends_at_the_two_texts(model):
    for way in ("spherical", "linear"):
        texts = interpolate(model, "ink", "on stone", 5, way=way)
        assert len(texts) == 5
        assert [texts[0], texts[-1]] == reconstruct(model, ["ink", "on stone"])


def test_the_arc_keeps_its_length_and_the_line_does_not():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 30, generator=generator)
    arc, line = path(a, b, 11), path(a, b, 11, "linear")
    torch.testing.assert_close(arc[[0, -1]], torch.stack((a, b)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(line[5], (a + b) / 2)
    torch.testing.assert_close(arc.norm(dim=1), torch.linspace(a.norm(), b.norm(), 11), rtol=1e-4, atol=1e-4)
    steps = torch.nn.functional.cosine_similarity(arc[1:], arc[:-1])
    torch.testing.assert_close(steps, steps[:1].expand(10), rtol=1e-4, atol=1e-5)  # equal angles
    assert line.norm(dim=1).min() < 0.8 * arc.norm(dim=1).min()


@pytest.mark.parametrize("b", [[2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
def test_where_there_is_no_one_arc_the_way_is_straight(b):
    found = path(torch.tensor([1.0, 0.0]), torch.tensor(b), 3)
    torch.testing.assert_close(found[1], torch.tensor([(1 + b[0]) / 2, 0.0]))


@pytest.mark.parametrize("text", ["", "ink on stone, and much more than nine tokens of it"])
def test_a_text_without_a_place_is_refused(model, text):
    with pytest.raises(TextError, match="1 to 8"):
        posterior_means(model, [text])


def test_drawing_needs_a_generator(model):
    with pytest.raises(TextError, match="generator"):
        write(model, torch.zeros(1, 4), temperature=1.0)
