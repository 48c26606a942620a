"""The figures of a latent space: they hold together, a map of texts is drawn."""

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch

from inkstone.errors import TextError
from inkstone.evaluation.latent_figures import latent_figures, plot_texts
from inkstone.models.text_vae import TextVAE, TextVAESettings
from inkstone.tokens.learning import learn_tokenizer

TOKENIZER = learn_tokenizer(iter(["ink on stone"] * 20), "byte-bpe", 270)


@pytest.fixture(scope="module")
def model() -> TextVAE:
    settings = TextVAESettings(TOKENIZER.vocab_size, width=16, n_layers=1, context=9, latent=4)
    return TextVAE(settings, TOKENIZER).initialise(torch.Generator().manual_seed(0))


def test_the_figures_hold_together(model):
    documents = [np.arange(length) for length in (3, 12, 0, 8)]
    model.train()
    found = latent_figures(model, documents, draws=20)
    assert model.training
    assert (found.pieces, found.tokens, found.units) == (5, 4 + 13 + 1 + 9, 4)
    assert found.elbo < found.importance_bound < 0 < found.kl
    facts = found.facts()
    assert facts["bound_nats_per_token"] == pytest.approx(-found.importance_bound / 27)
    assert abs(found.mutual_information) <= math.log(5) + 1e-6
    model.eval()
    nats = model.document_nats(documents, torch.Generator().manual_seed(0), draws=200).sum()
    assert nats == pytest.approx(-found.importance_bound, rel=0.02)


def test_nothing_to_place(model):
    with pytest.raises(TextError, match="no text"):
        latent_figures(model, [])


def test_the_map_shows_every_text(model, tmp_path):
    plot_texts(model, ["ink", "on", "stone"], tmp_path / "map.svg", groups=["a", "b", "a"])
    root = ElementTree.parse(tmp_path / "map.svg").getroot()
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[1:] == ["ink", "on", "stone"]
