"""Adapters: logits against peft, which opens ours on the exported base, and whose own open in ours."""

import copy
import json
import warnings

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from inkstone.errors import CheckpointError, RunError
from inkstone.hub import bart_marian, bert
from inkstone.hub.folder import load, save
from inkstone.hub.peft_layout import read_adapter, write_adapter
from inkstone.layers.lora import LoRALinear, add_lora, lora_off, lora_state
from inkstone.models import family

from . import checkpoints, test_bart_marian, test_bert
from .checkpoints import decoder, save_checkpoint, tokenizer

WRITERS = {"decoder": save, "encoder": bert.write, "encoder_decoder": bart_marian.write}
OPENERS = {
    "decoder": AutoModelForCausalLM,
    "encoder": AutoModelForMaskedLM,
    "encoder_decoder": AutoModelForSeq2SeqLM,
}
OURS = {
    "qwen3": lambda: decoder("qwen3"),
    "llama": lambda: decoder("llama", tied=False, attention_bias=True),
    "gpt2": lambda: decoder("gpt2"),
    "bert": lambda: test_bert.own(),
    "bart": lambda: test_bart_marian.own(**test_bart_marian.OWN["bart"]),
    "marian": lambda: test_bart_marian.own(**test_bart_marian.OWN["marian"]),
}
THEIRS = {
    "qwen3": (lambda: checkpoints.checkpoint("qwen3-tied"), ["q_proj", "v_proj", "down_proj"]),
    "llama": (lambda: checkpoints.checkpoint("llama"), "all-linear"),
    "gpt2": (lambda: checkpoints.checkpoint("gpt2"), ["c_attn", "c_proj", "c_fc"]),
    "bert": (lambda: test_bert.checkpoint("bert"), ["query", "value", "attention.output.dense"]),
    "roberta": (lambda: test_bert.checkpoint("roberta"), ["query", "key", "intermediate.dense"]),
    "bart": (lambda: test_bart_marian.checkpoint("bart"), ["q_proj", "v_proj", "fc1"]),
    "marian": (lambda: test_bart_marian.checkpoint("marian"), ["k_proj", "out_proj", "fc2"]),
}


def randomise(model: nn.Module, seed: int = 3) -> nn.Module:
    """B, which begins as zero, as if it had been trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(".B") or "lora_B" in name:
                weight.normal_(0, 0.3, generator=generator)
    return model


def with_lora(name: str, rank: int = 3, alpha: float = 5.0, **options) -> nn.Module:
    return randomise(add_lora(OURS[name](), rank, alpha, generator=torch.Generator().manual_seed(1), **options))


def exported(model: nn.Module, folder) -> None:
    """The base of an adapted model, as `export` writes it."""
    plain = copy.deepcopy(model)
    for path, layer in list(plain.named_modules()):
        if isinstance(layer, LoRALinear):
            plain.set_submodule(path, layer.base)
    WRITERS[model.family](plain, folder)


def opened_by_peft(model: nn.Module, base, adapter) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of missing keys, among others
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", "Model has `tie_word_embeddings=True`")  # two equal copies are kept
        return PeftModel.from_pretrained(OPENERS[model.family].from_pretrained(base), adapter).eval()


@torch.no_grad()
def ours_and_theirs(ours, theirs) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of both for some ids."""
    size = tokenizer().vocab_size if ours.tokenizer.vocab_size > 50 else 10
    size = min(size, ours.settings.vocab_size)
    ids = torch.randint(4, size, (2, 30), generator=torch.Generator().manual_seed(0))
    if ours.family == "encoder_decoder":
        target = ids[:, :7].flip(1)
        found = ours(target, memory=ours.encode(ids))
        expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids), decoder_input_ids=target).logits
    else:
        found, expected = ours(ids), theirs(ids).logits
    return found.log_softmax(-1), expected.log_softmax(-1)[..., : found.shape[-1]]


def assert_same(ours, theirs) -> None:
    found, expected = ours_and_theirs(ours, theirs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OURS)
def test_ours_opens_with_peft_on_the_exported_base_and_comes_back(name, tmp_path):
    ours = with_lora(name)
    exported(ours, tmp_path / "base")
    assert write_adapter(ours, tmp_path / "adapter", tmp_path / "base") == tmp_path / "adapter"
    theirs = opened_by_peft(ours, tmp_path / "base", tmp_path / "adapter")
    assert_same(ours, theirs)
    with theirs.disable_adapter(), lora_off(ours):
        plain, reference = ours_and_theirs(ours, theirs)
    torch.testing.assert_close(plain, reference, rtol=1e-4, atol=1e-5)
    assert (plain - ours_and_theirs(ours, theirs)[0]).abs().max() > 1e-2
    back = read_adapter(OURS[name](), tmp_path / "adapter")
    assert_same(back, theirs)
    assert {part for part, weight in back.named_parameters() if weight.requires_grad} == lora_state(back).keys()
    if name != "gpt2":  # whose stacked maps are one module there
        assert lora_state(back).keys() == lora_state(ours).keys()
        assert all(torch.equal(weight, lora_state(ours)[key]) for key, weight in lora_state(back).items())


@pytest.mark.parametrize("name", THEIRS)
def test_what_peft_initialised_opens_in_ours(name, tmp_path):
    """A few of the maps of a stack adapted, some of other rank and alpha, and the scale by the root of the rank."""
    build, targets = THEIRS[name]
    base = build()
    save_checkpoint(base, tmp_path / "base")
    if name in ("bert", "roberta"):
        test_bert.wordpiece(tmp_path / "base")
    one = "all-linear" if targets == "all-linear" else targets[-1]
    patterns = {} if one == "all-linear" else {"rank_pattern": {one: 2}, "alpha_pattern": {rf".*1\..*{one}": 7}}
    config = LoraConfig(
        r=4, lora_alpha=6, target_modules=targets, lora_dropout=0.1, use_rslora=name == "llama", **patterns
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = randomise(get_peft_model(base, config).eval())
    theirs.save_pretrained(tmp_path / "adapter")
    plain = load(tmp_path / "base")
    before, reference = ours_and_theirs(plain, theirs)
    assert (before - reference).abs().max() > 1e-2
    ours = read_adapter(plain, tmp_path / "adapter")
    assert_same(ours, theirs)
    assert {layer.dropout for layer in ours.modules() if isinstance(layer, LoRALinear)} == {0.1}
    write_adapter(ours, tmp_path / "again", tmp_path / "base")
    assert_same(ours, opened_by_peft(ours, tmp_path / "base", tmp_path / "again"))
    first, again = (load_file(tmp_path / side / "adapter_model.safetensors") for side in ("adapter", "again"))
    assert first.keys() == again.keys() and all(torch.equal(first[key], again[key]) for key in first)


def test_what_peft_trained_opens_in_ours(tmp_path):
    base = checkpoints.checkpoint("qwen3-untied")
    save_checkpoint(base, tmp_path / "base")
    torch.manual_seed(0)
    theirs = get_peft_model(base, LoraConfig(r=2, target_modules=["k_proj", "up_proj"], task_type="CAUSAL_LM"))
    optimiser = torch.optim.AdamW([weight for weight in theirs.parameters() if weight.requires_grad], lr=0.02)
    ids = checkpoints.some_ids()
    for _ in range(5):
        theirs(ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    theirs.eval().save_pretrained(tmp_path / "adapter")
    ours = read_adapter(load(tmp_path / "base"), tmp_path / "adapter")
    assert_same(ours, theirs)
    assert ours.blocks[0].qkv.change_of(0) is None and ours.blocks[0].qkv.change_of(1) is not None


def test_an_adapter_of_the_body_alone_opens_in_ours(tmp_path):
    save_checkpoint(checkpoints.checkpoint("llama"), tmp_path / "base")
    body = AutoModel.from_pretrained(tmp_path / "base")
    torch.manual_seed(0)
    theirs = randomise(get_peft_model(body, LoraConfig(r=2, target_modules=["q_proj", "o_proj"])).eval())
    theirs.save_pretrained(tmp_path / "adapter")
    ours, ids = read_adapter(load(tmp_path / "base"), tmp_path / "adapter"), checkpoints.some_ids()
    with torch.no_grad():
        states = theirs(ids).last_hidden_state
        torch.testing.assert_close(ours.hidden(ids), states, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["qwen3", "llama", "gpt2"])
def test_what_learned_as_a_whole_goes_with_it(name, tmp_path):
    """The embedding, which in "qwen3" and "gpt2" is the output matrix too, the last norm, and the head."""
    also = ["embedding", "norm", *(["head"] if name == "llama" else [])]
    ours = with_lora(name, targets=["qkv"], also=also)
    exported(ours, tmp_path / "base")
    with torch.no_grad():
        for part, weight in ours.named_parameters():
            if part.partition(".")[0] in also:
                weight.mul_(1.5)
    write_adapter(ours, tmp_path / "adapter", tmp_path / "base")
    theirs = opened_by_peft(ours, tmp_path / "base", tmp_path / "adapter")
    assert_same(ours, theirs)
    back = read_adapter(load(tmp_path / "base"), tmp_path / "adapter")
    assert_same(back, theirs)
    learning = {part for part, weight in back.named_parameters() if weight.requires_grad and ".changes." not in part}
    assert learning == {part for part, _ in back.named_parameters() if part.partition(".")[0] in also}
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(path)
    head = "base_model.model.lm_head.weight"
    if name != "llama":
        for changed in ({**tensors, head: tensors[head] * 2}, {k: t for k, t in tensors.items() if k != head}):
            save_file(changed, path)
            with pytest.raises(RunError, match="an output matrix that is not its embedding"):
                read_adapter(load(tmp_path / "base"), tmp_path / "adapter")


def test_an_embedding_that_peft_keeps_one_with_the_output_matrix(tmp_path):
    base = checkpoints.checkpoint("qwen3-tied")
    save_checkpoint(base, tmp_path / "base")
    config = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens"], ensure_weight_tying=True)
    theirs = randomise(get_peft_model(base, config).eval())
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            if "modules_to_save" in name:
                weight.mul_(1.5)
    theirs.save_pretrained(tmp_path / "adapter")
    ours = read_adapter(load(tmp_path / "base"), tmp_path / "adapter")
    assert ours.embedding.weight.requires_grad
    assert_same(ours, theirs)


def test_names_are_short_where_that_says_enough(tmp_path):
    def targets(model, folder):
        config = json.loads((write_adapter(model, tmp_path / folder) / "adapter_config.json").read_text())
        return config["target_modules"], config["r"], config["lora_alpha"], config["rank_pattern"]

    found = targets(with_lora("qwen3"), "all")
    names = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert found == (names, 3, 5, {}) and isinstance(found[2], int)
    one = with_lora("qwen3", targets=["blocks.1.qkv"])
    assert targets(one, "one")[0] == [f"model.layers.1.self_attn.{name}_proj" for name in "kqv"]
    # "dense" is the end of modules that are not adapted, too
    ends = {name.rpartition(".")[2] for name in targets(with_lora("bert"), "bert")[0] if name.count(".") == 0}
    assert ends == {"query", "key", "value"}
    assert set(targets(with_lora("gpt2"), "gpt2")[3].values()) == {9}
    with pytest.raises(RunError, match="already exists"):
        write_adapter(one, tmp_path / "one")


def test_models_without_a_place_there_are_refused(tmp_path):
    generator, place = torch.Generator().manual_seed(0), tmp_path / "adapter"
    neural = family("neural_ngram")
    settings = neural.Settings.of_size(tokenizer().vocab_size, 16, 1, order=3)
    with pytest.raises(RunError, match="'neural_ngram' is not among what peft has names for"):
        write_adapter(add_lora(neural(settings, tokenizer()), generator=generator), place)
    for model, words in (
        (OURS["qwen3"](), "no low-rank changes to write"),
        (add_lora(test_bert.own(layout="modern"), generator=generator), "'modern' with 2 types"),
        (add_lora(test_bart_marian.own(norm="pre"), generator=generator), "neither as BART"),
        (with_lora("bert", also=["transform"]), r"transform\.bias, transform\.weight learned as a whole"),
        (with_lora("qwen3", targets=["out"], also=["blocks.0.qkv"]), r"blocks\.0\.qkv\.weight learned as a whole"),
    ):
        with pytest.raises(RunError, match=words):
            write_adapter(model, place)
    assert not place.exists()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter") / "qwen3"
    return write_adapter(with_lora("qwen3"), folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "IA3"}, "peft_type = 'IA3'; Inkstone opens LORA"),
        ({"use_dora": True}, "use_dora = True, which Inkstone does not compute"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"lora_dropout": "0.1"}, "lora_dropout = '0.1'"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights = 'pissa_niter_4'"),
        ({"lora_alpha": None}, "no alpha for"),
        ({"alpha_pattern": {"(": 1}}, "no alpha for"),
    ],
)
def test_configurations_that_ask_for_something_else_are_refused(written, tmp_path, changes, words):
    config = {**json.loads((written / "adapter_config.json").read_text()), **changes}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "adapter_model.safetensors").write_bytes((written / "adapter_model.safetensors").read_bytes())
    refused(tmp_path, RunError, words)


def refused(folder, kind, words):
    """And the model stays as it was."""
    model = decoder("qwen3")
    before = [id(part) for part in (*model.modules(), *model.parameters())]
    with pytest.raises(kind, match=words):
        read_adapter(model, folder)
    assert [id(part) for part in (*model.modules(), *model.parameters())] == before
    assert all(weight.requires_grad for weight in model.parameters())


def test_tensors_that_do_not_fit_are_named(written, tmp_path):
    (tmp_path / "adapter_config.json").write_bytes((written / "adapter_config.json").read_bytes())
    refused(tmp_path, RunError, "has no adapter_model.safetensors")
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    refused(tmp_path, RunError, "a pickle, which can run any code")
    path, whole = tmp_path / "adapter_model.safetensors", load_file(written / "adapter_model.safetensors")
    layer = "base_model.model.model.layers.0.self_attn.k_proj.lora_"
    A, B = whole[f"{layer}A.weight"], whole[f"{layer}B.weight"]
    for changes, kind, words in (
        ({f"{layer}B.weight": None}, CheckpointError, r"A and B of .*k_proj are \(3, 32\) and missing; .* is 32 × 32"),
        ({f"{layer}A.weight": A[:, :-1]}, CheckpointError, r"are \(3, 31\) and \(32, 3\)"),
        ({f"{layer}A.weight": A[:-1]}, CheckpointError, r"are \(2, 32\) and \(32, 3\)"),
        ({f"{layer}B.weight": B[:-1]}, CheckpointError, r"are \(3, 32\) and \(31, 3\)"),
        ({f"{layer}A.weight": A[:0], f"{layer}B.weight": B[:, :0]}, CheckpointError, r"are \(0, 32\)"),
        ({f"{layer}A.weight": A[0]}, CheckpointError, r"are \(32,\)"),
        ({f"{layer}A.weight": A[0, 0]}, CheckpointError, r"are \(\) and"),
        ({f"{layer}B.weight": B[0, 0]}, CheckpointError, r"are \(3, 32\) and \(\)"),
        ({f"{layer}magnitude_vector": A}, RunError, "k_proj.lora_magnitude_vector of the shape"),
        ({"base_model.model.lm_head.lora_A.weight": A}, RunError, "changes lm_head, which is no linear layer"),
        ({"base_model.model.model.norm.weight": A}, RunError, "holds model.norm.weight of the shape"),
        ({"lm_head.weight": A}, RunError, "names of an adapter begin with base_model.model"),
        (dict.fromkeys(whole), CheckpointError, "no low-rank change in it"),
    ):
        tensors = {**whole, **changes}
        save_file({key: tensor.clone() for key, tensor in tensors.items() if tensor is not None}, path)
        refused(tmp_path, kind, words)
    save_file(whole, path)
    path.write_bytes(path.read_bytes()[:1000])
    refused(tmp_path, CheckpointError, r"adapter_model\.safetensors: damaged")
    for text in ("[]", "{", ""):
        (tmp_path / "adapter_config.json").write_text(text)
        refused(tmp_path, RunError, "cannot be read as the configuration")


def test_an_adapter_is_not_put_over_another(written):
    model = read_adapter(decoder("qwen3"), written)
    with pytest.raises(Exception, match="low-rank changes already"):
        read_adapter(model, written)
