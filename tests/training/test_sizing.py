"""The planner's rules: larger with more work, never larger than the text or the memory bears."""

import pytest

from inkstone.errors import RecipeError
from inkstone.models import FAMILIES, family
from inkstone.models.encoder import EncoderSettings
from inkstone.models.recurrent import RecurrentSettings
from inkstone.recipe import Recipe, with_settings
from inkstone.training.machine import Machine
from inkstone.training.sizing import (
    LADDER,
    MUON_SHARE,
    batch_tokens_for,
    dropout_for,
    muon_share,
    optimizer_for,
    refuse_too_large,
    settings_for,
    shape_for,
    start_for,
    vocabulary_for,
)

WORKS = [10.0**exponent for exponent in range(10, 22)]


def recipe(*settings: str) -> Recipe:
    return with_settings(Recipe(), list(settings))


def test_each_step_of_the_ladder_is_larger():
    sizes = [settings_for(recipe(), 1024, *step).matrix_parameters() for step in LADDER]
    assert sizes == sorted(sizes)


def test_more_work_never_makes_a_smaller_model_or_vocabulary_or_batch():
    tokens = 10**10
    shapes = [shape_for(recipe(), 1024, work, tokens)[0].matrix_parameters() for work in WORKS]
    assert shapes == sorted(shapes) and shapes[0] < shapes[-1]
    vocabularies = [vocabulary_for(work, 10**12)[0] for work in WORKS]
    assert vocabularies == sorted(vocabularies) and vocabularies[0] < vocabularies[-1]
    batches = [batch_tokens_for(work, 256, tokens) for work in WORKS]
    assert batches == sorted(batches) and batches[0] < batches[-1]


def test_little_text_bounds_everything():
    assert vocabulary_for(1e18, 5_000)[0] == 512
    settings, why = shape_for(recipe(), 512, 1e18, 2_000)
    assert settings.width == LADDER[0][0] or settings.matrix_parameters() < 12 * 2_000, why
    assert batch_tokens_for(1e18, 128, 2_000) <= 250


def test_what_the_recipe_fixes_stays():
    settings, _ = shape_for(recipe("model.width=80", "model.n_heads=5", "model.context=33"), 300, 1e15, 10**9)
    assert (settings.width, settings.n_heads, settings.head_width, settings.context) == (80, 5, 16, 33)


def test_a_model_that_does_not_fit_into_memory_is_refused():
    machine = Machine("cpu", "", 1, 1, 10**9, {"float32": 100.0}, 10.0)
    refuse_too_large(settings_for(recipe(), 512, 64, 2), machine)
    with pytest.raises(RecipeError, match="needs more than"):
        refuse_too_large(settings_for(recipe(), 512, 4096, 64), machine)


def test_muon_only_where_it_is_cheap():
    settings = settings_for(recipe(), 8192, 512, 9)
    assert optimizer_for(settings, 1024)[0] == "adamw" and muon_share(settings, 1024) > MUON_SHARE
    assert optimizer_for(settings, 131_072)[0] == "muon" and muon_share(settings, 131_072) <= MUON_SHARE
    between = next(
        tokens for tokens in range(1024, 131_072, 1024) if muon_share(settings, tokens, "bfloat16") <= MUON_SHARE
    )
    shares = [muon_share(settings, between, products) for products in ("bfloat16", "float32", "cuda")]
    assert shares == sorted(shares) and shares[0] <= MUON_SHARE < shares[1]
    chosen = [optimizer_for(settings, between, products)[0] for products in ("bfloat16", "float32", "cuda")]
    assert chosen == ["muon", "adamw", "adamw"]  # quick products take less time of the same step
    assert optimizer_for(EncoderSettings.of_size(8192, 512, 9), 1024)[0] == "muon"
    assert optimizer_for(RecurrentSettings.of_size(8192, 512, 2), 131_072)[0] == "adamw"


@pytest.mark.parametrize(
    ("settings", "vocab_size", "start"),
    [
        ([], 1024, "bigrams"),
        ([], 100_000, "random"),
        (["model.layout=gpt2"], 1024, "random"),
        (["model.tied=true"], 1024, "random"),
        (["train.start=random"], 1024, "random"),
    ],
)
def test_counted_weights_where_the_model_can_hold_them(settings, vocab_size, start):
    chosen = recipe(*settings)
    assert start_for(chosen, vocab_size) == start
    if "gpt2" not in str(settings):
        assert settings_for(chosen, vocab_size, 64, 2).tied is (start != "bigrams")


def test_counted_weights_asked_for_where_they_cannot_be():
    with pytest.raises(RecipeError, match=r"train\.start = 'bigrams' needs"):
        start_for(recipe("train.start=bigrams", "model.tied=true"), 1024)


def test_word_vectors_take_the_place_of_counted_weights():
    assert start_for(recipe(), 1024) == "bigrams" and start_for(recipe("train.vectors=words.txt"), 1024) == "random"
    assert settings_for(recipe("train.vectors=words.txt"), 1024, 64, 2).tied
    with pytest.raises(RecipeError, match="leave one of them out"):
        start_for(recipe("train.vectors=words.txt", "train.start=bigrams"), 1024)


def test_dropout_grows_with_the_number_of_readings():
    found = [dropout_for(epochs) for epochs in (0.5, 1, 3, 20, 100)]
    assert found[0] == 0 and found == sorted(found) and found[-1] > 0


def test_shapes_that_cannot_be_are_refused():
    with pytest.raises(RecipeError, match="family"):
        settings_for(recipe("model.family=recurent"), 512, 64, 2)
    with pytest.raises(RecipeError, match="gpt2"):
        settings_for(recipe("model.layout=gpt2", "model.width=64", "model.n_heads=3"), 512, 64, 2)


@pytest.mark.parametrize("name", [name for name in FAMILIES if hasattr(family(name).Settings, "of_size")])
def test_every_rung_of_the_ladder_is_a_shape_of_every_family(name):
    for width, layers in LADDER:
        assert settings_for(recipe(f"model.family={name}"), 512, width, layers).matrix_parameters() > 0
