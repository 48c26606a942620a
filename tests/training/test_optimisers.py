"""The optimisers of a run: which weight goes where, masters in single precision, and a state that can be taken up."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from inkstone.training.averaging import WeightAverage
from inkstone.training.optimisers import Optimisers
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
