"""The optimiser and the rates that a task is learned with."""

import pytest
import torch

from evaluation.tiny_runs import byte_tokenizer
from inkstone.models.encoder import Encoder, EncoderSettings
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.models.speech_encoder import SpeechEncoder, SpeechEncoderSettings
from inkstone.recipe import TrainSection
from inkstone.training.planner import MUON_RATE
from inkstone.training.tuned_model import choose_rates

READER = Encoder(EncoderSettings.of_size(257, 16, 1, n_heads=2), byte_tokenizer())
WRITER = EncoderDecoder(EncoderDecoderSettings.of_size(257, 16, 1, n_heads=2, n_sentinels=0), byte_tokenizer())
LISTENER = SpeechEncoder(SpeechEncoderSettings.of_size(257, 32, 1), byte_tokenizer())


@pytest.mark.parametrize(
    "body, fresh, optimizer, rate",
    [
        (READER, True, "adamw", 1e-3),
        (WRITER, True, "muon", MUON_RATE),
        (LISTENER, True, "muon", 0.01),
        (WRITER, False, "adamw", 3e-4),
    ],
)
def test_muon_takes_the_matrices_of_writers_and_listeners_that_learn_from_the_start(body, fresh, optimizer, rate):
    train = TrainSection()
    told = choose_rates(train, body, fresh)
    assert train.optimizer == optimizer and train.learning_rate == pytest.approx(rate)
    assert [choice.name for choice in told] == (["optimizer"] if optimizer == "muon" else []) + ["learning rate"]
    assert (train.scalar_learning_rate == train.learning_rate) == (optimizer == "adamw")


def test_what_the_recipe_says_is_heeded():
    train = TrainSection(optimizer="adamw", learning_rate=0.5)
    choose_rates(train, WRITER, fresh=True)
    assert (train.optimizer, train.learning_rate, train.scalar_learning_rate) == ("adamw", 0.5, 0.5)
    train = TrainSection(optimizer="muon", learning_rate=0.5, scalar_learning_rate=0.25)
    choose_rates(train, WRITER, fresh=False)
    assert (train.optimizer, train.learning_rate, train.scalar_learning_rate) == ("muon", 0.5, 0.25)


@torch.no_grad()
def test_the_matrices_of_a_listener_are_those_of_its_blocks_with_their_maps():
    sizes = {name: (weight.shape[0], maps) for name, weight, maps in LISTENER.matrices()}
    assert all(rows == sum(maps) for rows, maps in sizes.values())
    assert sizes["blocks.0.qkv.weight"] == (96, (32, 32, 32)) and sizes["blocks.0.convolution.into.weight"] == (
        64,
        (32, 32),
    )
    assert len(sizes) == 8
