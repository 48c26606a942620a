"""Low-rank adaptation: against the formula map by map, off, merged, and what of a model learns."""

import copy
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from evaluation.tiny_runs import byte_tokenizer
from inkstone.errors import RecipeError
from inkstone.inference.single_token import SingleToken
from inkstone.layers.lora import LoRALinear, LowRank, add_lora, lora_off, lora_state, merge_lora
from inkstone.models import family
from inkstone.tokens.batches import Batch

GENERATOR = torch.Generator()
GQA = {"n_heads": 4, "n_kv_heads": 2, "head_width": 8}
MODELS = {
    "qwen3": ("decoder", GQA),
    "llama": ("decoder", {**GQA, "layout": "llama", "tied": False}),
    "gpt2": ("decoder", {"layout": "gpt2", "n_heads": 4}),
    "bert": ("encoder", {}),
    "modern": ("encoder", {"layout": "modern"}),
    "encoder_decoder": ("encoder_decoder", {"n_decoder_layers": 1}),
    "neural_ngram": ("neural_ngram", {"order": 4, "hidden": 24}),
}


@cache
def built(name: str) -> nn.Module:
    kind, shape = MODELS[name]
    tokenizer = byte_tokenizer()
    settings = family(kind).Settings.of_size(tokenizer.vocab_size, 32, 2, **shape)
    model = family(kind)(settings, tokenizer).initialise(GENERATOR.manual_seed(0)).eval()
    with torch.no_grad():  # the ends of residual branches begin at zero, which would hide what is before them
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=GENERATOR) * 0.1)
    return model


def model_of(name: str):
    return copy.deepcopy(built(name))


def with_lora(name: str, **options):
    """An adapted model whose B are no longer zero."""
    model = add_lora(model_of(name), 3, 6.0, generator=GENERATOR.manual_seed(1), **options)
    with torch.no_grad():
        for part, weight in model.named_parameters():
            if part.endswith(".B"):
                weight.normal_(0, 0.3, generator=GENERATOR)
    return model


def ids(rows: int = 2, length: int = 12) -> torch.Tensor:
    return torch.randint(0, 256, (rows, length), generator=GENERATOR.manual_seed(2))


def maps_of(layer: LoRALinear) -> list[tuple[slice, LowRank]]:
    begins = [sum(layer.rows[:i]) for i in range(len(layer.rows))]
    return [
        (slice(begin, begin + rows), layer.changes[str(i)])
        for i, (begin, rows) in enumerate(zip(begins, layer.rows, strict=True))
        if str(i) in layer.changes
    ]  # type: ignore[return-value]


@pytest.mark.parametrize("places", [(0, 1, 2), (0, 2), (1,)])
def test_equals_the_formula_map_by_map(places):
    """Of several maps in one matrix, of unequal rows, ranks and alphas, and some without a change."""
    base, rows, generator = nn.Linear(10, 14), (6, 5, 3), GENERATOR.manual_seed(0)
    changes = {i: LowRank.drawn(rows[i], i + 1, 2.0 + i, generator, base.weight) for i in places}
    layer, x = LoRALinear(base, rows, changes), torch.randn(2, 7, 10, generator=generator)
    assert torch.equal(layer(x), base(x))  # B is zero
    expected = base(x).detach().clone()
    for part, change in maps_of(layer):
        nn.init.normal_(change.B, generator=generator)
        expected[..., part] += (change.alpha / change.rank) * (x @ change.A.detach().T) @ change.B.detach().T
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(F.linear(x, layer.weight, layer.bias), expected)


def test_a_is_gaussian_of_the_deviation_that_keeps_the_scale_of_the_input():
    drawn = LowRank.drawn(8, 64, 1.0, GENERATOR.manual_seed(0), torch.empty(8, 400))
    assert drawn.B.eq(0).all()
    assert drawn.A.std().item() == pytest.approx(400**-0.5, rel=0.02)
    assert abs(drawn.A.mean().item()) < 1e-3
    again = LowRank.drawn(8, 64, 1.0, GENERATOR.manual_seed(0), torch.empty(8, 400))
    assert torch.equal(drawn.A, again.A)


def test_dropout_falls_on_the_input_of_the_change_alone_and_only_in_training():
    base, generator = nn.Linear(400, 3, bias=False), GENERATOR.manual_seed(0)
    change = LowRank(torch.ones(1, 400), torch.ones(3, 1), 1.0)
    layer, x = LoRALinear(base, (3,), {0: change}, dropout=0.25), torch.ones(50, 400)
    torch.manual_seed(int(generator.initial_seed()))
    beside = (layer.train()(x) - base(x)).detach()
    assert beside.std() > 1
    assert beside.mean().item() == pytest.approx(400, rel=0.02)  # what is left is scaled up
    torch.testing.assert_close(layer.eval()(x) - base(x), torch.full((50, 3), 400.0), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_begins_as_the_model_it_is_around_and_is_it_again_without(name):
    plain, model = model_of(name).requires_grad_(False), model_of(name)  # torch takes another product for what learns
    add_lora(model, 3, 6.0, generator=GENERATOR.manual_seed(1))
    torch.testing.assert_close(model(ids()), plain(ids()), rtol=0, atol=1e-5)
    tuned = with_lora(name)
    assert (tuned(ids()) - plain(ids())).abs().max() > 1e-2
    with lora_off(tuned) as reference:
        assert torch.equal(reference(ids()), plain(ids()))
        with lora_off(tuned):
            pass
        assert torch.equal(reference(ids()), plain(ids()))
    assert (tuned(ids()) - plain(ids())).abs().max() > 1e-2


def test_comes_back_after_an_error_and_a_model_without_changes_is_no_reference():
    model = with_lora("qwen3")
    with torch.no_grad():
        before = model(ids())
        with pytest.raises(KeyError), lora_off(model):
            raise KeyError
        assert torch.equal(model(ids()), before)
    with pytest.raises(RecipeError, match="no low-rank changes"), lora_off(model_of("qwen3")):
        pass


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_every_hidden_matrix_is_adapted_map_by_map(name):
    plain, model = model_of(name), with_lora(name)
    stacks = {path.removesuffix(".weight"): rows for path, _, rows in plain.matrices()}
    assert {path: m.rows for path, m in model.named_modules() if isinstance(m, LoRALinear)} == stacks
    for path, rows in stacks.items():
        change = model.get_submodule(path).weight - plain.get_submodule(path).weight
        for part in change.split(rows):
            assert torch.linalg.matrix_rank(part, atol=1e-4) == 3


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_merged_it_is_a_plain_model_of_the_summed_weights(name):
    plain, model = model_of(name), with_lora(name)
    expected, weights = model(ids()), {}
    for path, layer in model.named_modules():
        if isinstance(layer, LoRALinear):
            weights[f"{path}.weight"] = layer.weight.clone()
            total = layer.base.weight.double()
            for part, change in maps_of(layer):
                total[part] += change.alpha / change.rank * change.B.double() @ change.A.double()
            torch.testing.assert_close(layer.weight.double(), total, rtol=0, atol=1e-6)
    with lora_off(model):  # merging is of the change, whether it is in use or not
        merge_lora(model)
    torch.testing.assert_close(model(ids()), expected, rtol=1e-4, atol=1e-4)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert [type(m) for m in model.modules()] == [type(m) for m in plain.modules()]
    assert all(weight.requires_grad for weight in model.parameters())
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, weights.get(key, plain.state_dict()[key]))


def test_a_merged_weight_is_rounded_once():
    base = nn.Linear(16, 16, bias=False, dtype=torch.bfloat16)
    change = LowRank.drawn(16, 4, 1.0, GENERATOR.manual_seed(0), base.weight)
    nn.init.normal_(change.B, generator=GENERATOR)
    model = nn.Sequential(LoRALinear(base, (16,), {0: change}))
    exact = base.weight.double() + change.scale * change.B.double() @ change.A.double()
    rounded = (base.weight.float() + (change.scale * change.B).float() @ change.A.float()).bfloat16()
    merge_lora(model)
    assert torch.equal(model[0].weight, rounded)
    assert (model[0].weight.double() - exact).abs().max() <= exact.abs().max() * 2**-8


@pytest.mark.parametrize("name", [name for name in MODELS if name != "neural_ngram"])
def test_only_a_and_b_learn(name):
    model = with_lora(name)
    ours = ids(4, 16)
    batch = Batch(ours[:, :-1].contiguous(), ours[:, 1:].contiguous(), None)
    before = {key: weight.clone() for key, weight in model.state_dict().items()}
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.SGD(learning, lr=0.01)
    if hasattr(model, "loss"):
        model.loss(batch, GENERATOR.manual_seed(0), 0.0).backward()
    else:
        F.cross_entropy(model(batch.ids).flatten(0, 1), batch.targets.flatten()).backward()
    assert all(weight.grad is None for weight in model.parameters() if not weight.requires_grad)
    optimiser.step()
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, before[key]) == (".changes." not in key), key
    assert lora_state(model).keys() == {key for key in before if ".changes." in key}


def test_a_head_learns_beside_them_and_is_kept_with_them():
    model = with_lora("llama", targets=["qkv", "feed_forward.down"], also=["head", "norm"])
    learning = {name for name, weight in model.named_parameters() if weight.requires_grad}
    parts = [f"blocks.{i}.qkv.changes.{j}.{f}" for i in (0, 1) for j in (0, 1, 2) for f in "AB"]
    parts += [f"blocks.{i}.feed_forward.down.changes.0.{f}" for i in (0, 1) for f in "AB"]
    assert learning == {*parts, "head.weight", "norm.weight"} == lora_state(model).keys()
    other = add_lora(model_of("llama"), 3, 6.0, targets=["qkv", "down"], also=["head", "norm"], generator=GENERATOR)
    with torch.no_grad():
        model.head.weight.mul_(2)
        assert not other.load_state_dict(lora_state(model), strict=False).unexpected_keys
        assert torch.equal(other(ids()), model(ids()))
    model.requires_grad_(False)
    assert lora_state(model).keys() == set(parts)


def test_a_model_inside_another_is_adapted_and_a_layer_outside_the_blocks():
    outside = nn.ModuleDict({"body": model_of("bert"), "head": nn.Linear(32, 3)})
    add_lora(outside, 2, 4.0, generator=GENERATOR, also=["head"])
    assert isinstance(outside["body"].blocks[0].qkv, LoRALinear) and outside["body"].blocks[0].qkv.rows == (32,) * 3
    assert isinstance(outside["head"], nn.Linear) and outside["head"].weight.requires_grad
    head = with_lora("llama", targets=["head"])
    plain = model_of("llama")
    with torch.no_grad():
        expected = F.linear(plain.hidden(ids()), plain.head.weight + head.head.weight - plain.head.weight)
        assert (expected - plain(ids())).abs().max() > 1e-2
        torch.testing.assert_close(head(ids()), expected)


@torch.no_grad()
def test_the_fast_step_for_one_token_reads_the_changed_weights():
    model, read = with_lora("qwen3"), ids(2, 6)
    fast, slow = SingleToken(model, 2), model
    states = fast.start(2), slow.start(2)
    for i in range(6):
        (mine, _), (other, _) = fast.step(read[:, i : i + 1], states[0]), slow.step(read[:, i : i + 1], states[1])
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["recurrent", "convolutional", "text_vae", "ngram"])
def test_families_without_linear_layers_are_refused(name):
    tokenizer = byte_tokenizer()
    kind = family(name)
    if name == "ngram":
        model = nn.Module()
    else:
        model = kind(kind.Settings.of_size(tokenizer.vocab_size, 32, 1), tokenizer)
        before = [id(module) for module in model.modules()]
    with pytest.raises(RecipeError, match="families decoder, encoder, encoder_decoder and neural_ngram"):
        add_lora(model, generator=GENERATOR)
    if name != "ngram":
        assert [id(module) for module in model.modules()] == before
        assert all(weight.requires_grad for weight in model.parameters())


def test_what_cannot_be_is_named_and_the_model_stays():
    model = model_of("qwen3")
    for options, words in [
        ({"rank": 0}, "rank = 0"),
        ({"dropout": 1.0}, r"dropout = 1\.0"),
        ({"alpha": float("nan")}, "alpha = nan"),
        ({"targets": ["qkw"]}, "no linear layer 'qkw'; did you mean 'qkv'"),
        ({"targets": ["head"]}, "no linear layer 'head'"),  # the output matrix is the embedding
        ({"also": ["hed"]}, "no weights 'hed'"),
        ({"also": ["blocks.0.quv"]}, "did you mean 'blocks.0.qkv'"),
    ]:
        with pytest.raises(RecipeError, match=words):
            add_lora(model, **options, generator=GENERATOR)
    assert not [m for m in model.modules() if isinstance(m, LoRALinear)]
    assert all(weight.requires_grad for weight in model.parameters())
    add_lora(model, generator=GENERATOR)
    with pytest.raises(RecipeError, match="changes already; merge them first"):
        add_lora(model, generator=GENERATOR)
    with pytest.raises(ValueError, match="do not make up 14"):
        LoRALinear(nn.Linear(10, 14), (6, 5), {})
    with pytest.raises(ValueError, match="a change of 5 × 10 for a map of 6 × 10"):
        LoRALinear(nn.Linear(10, 6), (6,), {0: LowRank(torch.ones(1, 10), torch.ones(5, 1), 1.0)})
