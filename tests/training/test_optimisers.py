"""The optimisers of a run: which weight goes where, masters in single precision, and a state that can be taken up."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from evaluation.tiny_runs import byte_tokenizer
from inkstone.errors import CheckpointError, RecipeError
from inkstone.layers.lora import add_lora
from inkstone.models.encoder import Encoder, EncoderSettings
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.models.headed import Headed, HeadSettings
from inkstone.training.averaging import WeightAverage
from inkstone.training.checkpoints import load_checkpoint, save_checkpoint
from inkstone.training.optimisers import Optimisers, hidden_matrices, layer_decay, matrices_of
from training.small_runs import small_decoder, train_section


def give_gradients(model, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator).to(weight.dtype)


def test_muon_takes_the_hidden_matrices_and_adamw_the_rest():
    model = small_decoder()
    optimisers = Optimisers(model, train_section(weight_decay=0.1))
    matrices = {id(weight) for _, weight, _ in model.matrices()}
    muon = {id(weight) for group in optimisers.parts["muon"].param_groups for weight in group["params"]}
    adamw = {id(weight) for group in optimisers.parts["adamw"].param_groups for weight in group["params"]}
    assert muon == matrices
    assert muon | adamw == {id(weight) for weight in model.parameters()} and not muon & adamw
    assert all(group["weight_decay"] == 0 for group in optimisers.parts["adamw"].param_groups)


def test_adamw_alone_decays_only_matrices():
    model = small_decoder()
    groups = Optimisers(model, train_section(optimizer="adamw", weight_decay=0.1)).parts["adamw"].param_groups
    decayed = {id(weight) for group in groups if group["weight_decay"] for weight in group["params"]}
    assert decayed == {id(weight) for _, weight, _ in model.matrices()}


def test_adamw_alone_equals_torch():
    ours, theirs = small_decoder(), small_decoder()
    optimisers = Optimisers(ours, train_section(optimizer="adamw", learning_rate=0.01))
    peer = torch.optim.AdamW(theirs.parameters(), lr=0.005, betas=(0.9, 0.95), weight_decay=0.0)
    for step in range(4):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        optimisers.clip(1e9)
        optimisers.step(0.5)
        peer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped_together():
    model = small_decoder()
    optimisers = Optimisers(model, train_section())
    give_gradients(model, 0)
    norm = torch.cat([weight.grad.flatten() for weight in model.parameters()]).norm()
    torch.testing.assert_close(optimisers.clip(0.5), norm)
    after = torch.cat([weight.grad.flatten() for weight in model.parameters()]).norm()
    torch.testing.assert_close(after, torch.tensor(0.5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_bfloat16_weights_keep_the_small_updates_that_they_would_lose(optimizer):
    model = small_decoder().bfloat16()
    optimisers = Optimisers(model, train_section(optimizer=optimizer, learning_rate=1e-5, scalar_learning_rate=1e-5))
    name = "embedding.weight"
    model.embedding.weight.data.fill_(1.0)  # bfloat16 numbers near one lie 0.0078 apart
    optimisers.masters[name].data.fill_(1.0)
    for _ in range(600):
        for weight in model.parameters():
            weight.grad = torch.ones_like(weight)
        optimisers.clip(1e9)
        optimisers.step(1.0)
    assert optimisers.masters[name].dtype == torch.float32
    assert optimisers.masters[name].mean().item() == pytest.approx(1 - 600e-5, rel=1e-3)
    assert model.embedding.weight.eq(torch.tensor(1 - 600e-5).bfloat16()).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_goes_on_bit_for_bit_from_a_saved_state(tmp_path, optimizer, averaging, dtype):
    settings = train_section(optimizer=optimizer, averaging=averaging, weight_decay=0.1)

    def steps(model, optimisers, average, numbers):
        for number in numbers:
            give_gradients(model, number)
            optimisers.clip(1.0)
            optimisers.step(0.7)
            optimisers.zero_grad()
            if average:
                average.add(optimisers.masters)

    def fresh(seed):
        model = small_decoder(seed).to(dtype)
        optimisers = Optimisers(model, settings)
        return model, optimisers, WeightAverage(optimisers.masters, averaging) if averaging else None

    unbroken = fresh(0)
    steps(*unbroken, range(8))
    model, optimisers, average = fresh(0)
    steps(model, optimisers, average, range(4))
    save_file(model.state_dict(), tmp_path / "model")
    save_file(optimisers.state(), tmp_path / "optimisers")
    save_file(average.tensors if average else {}, tmp_path / "average")

    resumed = fresh(1)  # other weights, which must all be replaced
    resumed[0].load_state_dict(load_file(tmp_path / "model"))
    resumed[1].load_state(load_file(tmp_path / "optimisers"))
    if resumed[2]:
        resumed[2].load(load_file(tmp_path / "average"))
    steps(*resumed, range(4, 8))
    for found, expected in (
        (resumed[0].state_dict(), unbroken[0].state_dict()),
        (resumed[1].state(), unbroken[1].state()),
        (resumed[2].tensors if resumed[2] else {}, unbroken[2].tensors if unbroken[2] else {}),
    ):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_frozen_weights_stay_and_cost_no_memory(optimizer, dtype):
    model = small_decoder(n_layers=2).to(dtype)
    model.embedding.requires_grad_(False)
    model.blocks[0].requires_grad_(False)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    optimisers = Optimisers(model, train_section(optimizer=optimizer, weight_decay=0.1))
    learning = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert optimisers.masters.keys() == learning.keys()
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        for weight in learning.values():
            weight.grad = torch.randn(weight.shape, generator=generator).to(dtype)
        optimisers.clip(1.0)
        optimisers.step(1.0)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name]) == (name not in learning), name
    state = sum(tensor.numel() for tensor in optimisers.state().values() if tensor.dim())
    kept = {"muon": 1, "adamw": 2}  # numbers for each weight
    matrices = {id(weight) for _, weight, _ in model.matrices()}
    expected = sum(
        weight.numel()
        * (kept["muon" if optimizer == "muon" and id(weight) in matrices else "adamw"] + (dtype != torch.float32))
        for weight in learning.values()
    )
    assert state == expected


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_freezing_changes_nothing_for_what_learns(optimizer):
    """Beside the same gradients, with a bound on their norm that does not bind."""
    whole, part = small_decoder(n_layers=2), small_decoder(n_layers=2)
    part.blocks[0].requires_grad_(False)
    for model in (whole, part):
        optimisers = Optimisers(model, train_section(optimizer=optimizer, weight_decay=0.1))
        for step in range(3):
            give_gradients(model, step)
            optimisers.clip(1e9)
            optimisers.step(0.5)
    for (name, one), other in zip(whole.named_parameters(), part.parameters(), strict=True):
        if not name.startswith("blocks.0."):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_model_that_may_not_learn_is_refused():
    with pytest.raises(RecipeError, match="all of them are frozen"):
        Optimisers(small_decoder().requires_grad_(False), train_section())


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_low_rank_changes_alone_are_trained(optimizer):
    """With either optimiser; of Muon each factor of each map is a matrix of its own."""
    generator = torch.Generator().manual_seed(0)
    model = small_decoder(n_layers=2)
    nn.init.normal_(model.embedding.weight, generator=generator)  # as of a trained model, so that its states matter
    model = add_lora(model, rank=2, generator=generator)
    optimisers = Optimisers(model, train_section(optimizer=optimizer, learning_rate=0.05))
    assert list(optimisers.parts) == [optimizer]
    assert {name.rpartition(".")[2] for name in optimisers.masters} == {"A", "B"}
    ids = torch.randint(0, 256, (4, 12), generator=generator)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimisers.clip(1.0)
        optimisers.step(1.0)
        optimisers.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.2
    encoder = Encoder(EncoderSettings.of_size(257, 16, 1, n_heads=2), byte_tokenizer()).initialise(generator)
    rows = matrices_of(add_lora(encoder, rank=2, generator=generator))
    sizes = {name: weight.shape[0] for name, weight in encoder.named_parameters()}
    assert all(sum(rows[name]) == sizes[name] for name in rows)
    assert rows["blocks.0.qkv.base.weight"] == (16, 16, 16) and rows["blocks.0.qkv.changes.1.A"] == (2,)


def test_muon_takes_the_hidden_matrices_of_a_body_and_adamw_its_head():
    body = Encoder(EncoderSettings.of_size(257, 16, 1, n_heads=2), byte_tokenizer())
    model = Headed(body, HeadSettings("class", ("no", "yes")))
    assert list(hidden_matrices(model)) == [f"body.{name}" for name, *_ in body.matrices()]
    optimisers = Optimisers(model, train_section(optimizer="muon"))
    muon = {id(weight) for group in optimisers.parts["muon"].param_groups for weight in group["params"]}
    assert muon == {id(weight) for _, weight, _ in body.matrices()}
    assert model.scores is not None and id(model.scores.weight) not in muon


def test_a_model_without_such_matrices_is_refused_muon():
    with pytest.raises(RecipeError, match="no matrices that Muon is for"):
        Optimisers(torch.nn.Linear(3, 2), train_section(optimizer="muon"))


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("given", ["dict", "function"])
def test_a_factor_multiplies_the_learning_rate_of_its_weight(optimizer, given):
    """Against optimisers whose rate is the product; without weight decay, one step of each is proportional to its rate."""
    chosen = {"embedding.weight": 0.0, "blocks.0.qkv.weight": 0.25, "blocks.0.attention_norm.weight": 4.0}
    factors = chosen if given == "dict" else lambda name: chosen.get(name, 1.0)
    for factor in (0.0, 0.25, 1.0, 4.0):
        mine, other = small_decoder(), small_decoder()
        settings = train_section(optimizer=optimizer, weight_decay=0.1)
        rates = {name: getattr(settings, name) * factor for name in ("learning_rate", "scalar_learning_rate")}
        pair = Optimisers(mine, settings, factors), Optimisers(other, settings)
        pair[1].rates = {
            name: rates["learning_rate" if name == "muon" or optimizer == "adamw" else "scalar_learning_rate"]
            for name in pair[1].parts
        }
        for step in range(3):
            for model, optimisers in zip((mine, other), pair, strict=True):
                give_gradients(model, step)
                optimisers.clip(1e9)
                optimisers.step(0.5)
        for (name, one), two in zip(mine.named_parameters(), other.parameters(), strict=True):
            if chosen.get(name, 1.0) == factor:
                torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_factors_of_one_change_no_bit(optimizer):
    models = [small_decoder(n_layers=2) for _ in range(2)]
    settings = train_section(optimizer=optimizer, weight_decay=0.1)
    for model, factors in zip(models, (None, lambda name: 1.0), strict=True):
        optimisers = Optimisers(model, settings, factors)
        for step in range(3):
            give_gradients(model, step)
            optimisers.clip(1.0)
            optimisers.step(0.7)
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_factors_and_frozen_weights_are_kept_through_a_saved_state(tmp_path, optimizer):
    settings = train_section(optimizer=optimizer, weight_decay=0.1, averaging=0.9)

    def fresh(seed):
        model = small_decoder(seed, n_layers=2)
        model.blocks[0].requires_grad_(False)
        optimisers = Optimisers(model, settings, layer_decay(model, 0.5))
        return model, optimisers, WeightAverage(optimisers.masters, 0.9)

    def steps(model, optimisers, average, numbers):
        for number in numbers:
            give_gradients(model, number)
            optimisers.clip(1.0)
            optimisers.step(0.7)
            average.add(optimisers.masters)

    unbroken, broken, resumed = fresh(0), fresh(0), fresh(1)
    steps(*unbroken, range(6))
    steps(*broken, range(3))
    tensors = broken[1].state() | {f"average.{name}": tensor for name, tensor in broken[2].tensors.items()}
    read = load_checkpoint(save_checkpoint(tmp_path, broken[0].state_dict(), tensors, {"step": 3}))
    resumed[0].load_state_dict(read.weights)
    average = {name[8:]: tensor for name, tensor in read.optimizer.items() if name.startswith("average.")}
    resumed[1].load_state({name: t for name, t in read.optimizer.items() if not name.startswith("average.")})
    resumed[2].load(average)
    steps(*resumed, range(3, 6))
    for name, weight in unbroken[0].state_dict().items():
        assert torch.equal(resumed[0].state_dict()[name], weight)
    for model, optimisers, average in (unbroken, resumed):
        average.give(optimisers.masters)  # of what learned; the rest is left alone
        assert torch.equal(model.blocks[0].qkv.weight, unbroken[0].blocks[0].qkv.weight)
    for name, weight in unbroken[0].state_dict().items():
        assert torch.equal(resumed[0].state_dict()[name], weight)


def test_a_state_of_other_weights_or_factors_is_refused():
    def of(freeze="", factors=None, **settings):
        model = small_decoder(n_layers=2)
        for name, weight in model.named_parameters():
            weight.requires_grad_(not freeze or freeze not in name)
        optimisers = Optimisers(model, train_section(**settings), factors)
        give_gradients(model, 0)
        optimisers.step(1.0)
        return optimisers

    before = {name: master.clone() for name, master in of().masters.items()}
    now = of()
    for saved in (of("attention_norm"), of("feed_forward"), of(optimizer="adamw")):
        with pytest.raises(CheckpointError, match="of other weights than those that learn now"):
            now.load_state(saved.state())
    for mine, saved in ((now, of(factors={"norm.weight": 0.5})), (of(factors={"norm.weight": 0.25}), now)):
        with pytest.raises(CheckpointError, match=r"rate: that of norm\.weight was (0\.5|1) and is (1|0\.25)"):
            mine.load_state(saved.state())
    assert all(torch.equal(now.masters[name], before[name]) for name in before)


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({"blocks.0.qvk.weight": 1.0}, "did you mean 'blocks.0.qkv.weight'"),
        ({"norm.weight": -1.0}, r"a factor of -1\.0 on the learning rate of norm\.weight"),
        (lambda name: float("nan"), "a factor of nan"),
    ],
)
def test_factors_that_cannot_be_are_named(factors, words):
    with pytest.raises(RecipeError, match=words):
        Optimisers(small_decoder(), train_section(), factors)


def test_layer_decay_falls_from_the_head_to_the_embeddings():
    model = small_decoder(n_layers=3, tied=False, layout="gpt2", n_kv_heads=2)
    factors = layer_decay(model, 0.5)
    assert factors.keys() == dict(model.named_parameters()).keys()
    by_part = {
        name.rpartition(".")[0] if "blocks" not in name else name[:8]: factor for name, factor in factors.items()
    }
    assert by_part == {
        "head": 1.0,
        "norm": 1.0,
        "blocks.2": 0.5,
        "blocks.1": 0.25,
        "blocks.0": 0.125,
        "embedding": 0.0625,
        "positions": 0.0625,
    }
    assert set(layer_decay(model, 1.0).values()) == {1.0}
    assert "embedding.weight" in layer_decay(small_decoder(), 0.5)  # the output matrix, too: it is an embedding here
    for decay in (0.0, 1.1, -0.5):
        with pytest.raises(RecipeError, match=f"a layer decay of {decay}"):
            layer_decay(model, decay)


def test_layer_decay_of_models_in_models_of_two_stacks_and_of_low_rank_changes():
    tokenizer, generator = byte_tokenizer(), torch.Generator().manual_seed(0)
    encoder = Encoder(EncoderSettings.of_size(257, 16, 2, n_heads=2, layout="bert"), tokenizer)
    headed = nn.ModuleDict({"body": add_lora(encoder, 2, generator=generator), "scores": nn.Linear(16, 3)})
    factors = layer_decay(headed, 0.5)
    assert factors["scores.weight"] == factors["body.transform.weight"] == 1
    assert factors["body.blocks.1.qkv.changes.0.A"] == factors["body.blocks.1.out.base.bias"] == 0.5
    assert factors["body.blocks.0.attention_norm.weight"] == 0.25
    for name in ("embedding.weight", "positions.weight", "types.weight", "embedding_norm.bias"):
        assert factors[f"body.{name}"] == 0.125
    settings = EncoderDecoderSettings.of_size(
        257, 16, 2, n_heads=2, n_decoder_layers=3, embedding_norm=True, shared=False, positions="learned"
    )
    factors = layer_decay(EncoderDecoder(settings, tokenizer), 0.5)
    assert factors["decoder.2.qkv.weight"] == factors["encoder.1.qkv.weight"] == 0.5
    assert factors["decoder.0.cross_query.weight"] == 0.125 and factors["encoder.0.out.bias"] == 0.25
    assert factors["source_norm.weight"] == factors["head.weight"] == 1
    for name in ("source_embedding.weight", "positions.weight", "source_embedding_norm.weight"):
        assert factors[name] == 0.0625
