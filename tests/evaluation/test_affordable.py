"""What can be scored follows what a scored token costs, so that no family spends its training on being scored."""

import numpy as np
import pytest

from inkstone.evaluation.affordable import LEAST_ASKED, affordable
from inkstone.evaluation.likelihood import score


class Costly:
    likelihood = "pseudo-log-likelihood"
    asks_for_tokens = True
    tokens_read_for_each = 100

    def __init__(self, tokenizer):
        self.tokenizer, self.asked = tokenizer, []

    def document_nats(self, documents, generator, ends=None, *, most=None):
        self.asked.append(most)
        return np.array([float(len(document)) for document in documents])


class Draws:
    tokens_read_for_each = 16


def test_a_plain_model_reads_what_it_scores():
    assert affordable(object(), 50_000, 100_000) == {"share": 0.5, "most": None}
    assert affordable(object(), 10, 100_000)["share"] == 0.2  # fewer would say nothing


def test_what_costs_more_is_scored_on_less():
    assert affordable(Costly(None), 50_000, 100_000) == {"share": 0.5, "most": 500}
    assert affordable(Costly(None), 50, 100_000)["most"] == LEAST_ASKED
    assert affordable(Draws(), 320_000, 100_000, least=16)["share"] == pytest.approx(0.2)


def test_the_sample_is_asked_of_the_model():
    from evaluation.tiny_runs import byte_tokenizer, texts

    model = Costly(byte_tokenizer())
    documents = [np.array(model.tokenizer.encode(text)) for text in texts(5, seed=0)]
    score(model, documents, window=16, most=7)
    assert model.asked == [7]
