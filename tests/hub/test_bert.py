"""BERT and RoBERTa: logits against transformers, which wrote or opens the same folder."""

import json

import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from inkstone.errors import CheckpointError, RunError
from inkstone.hub import bert
from inkstone.models.encoder import Encoder, EncoderSettings
from inkstone.tokens.tokenizer import Tokenizer

from .checkpoints import tokenizer

VOCAB = 50
SHAPE = dict(
    vocab_size=VOCAB,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=48,
    max_position_embeddings=40,
)
CHECKPOINTS = {
    "bert": lambda: BertForMaskedLM(BertConfig(**SHAPE, type_vocab_size=3, layer_norm_eps=1e-3)),
    "roberta": lambda: RobertaForMaskedLM(RobertaConfig(**SHAPE, type_vocab_size=1, pad_token_id=1)),
}


def checkpoint(name: str):
    torch.manual_seed(0)
    model = CHECKPOINTS[name]().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return model


def wordpiece(folder) -> Tokenizer:
    """A tokenizer as published ones are: [CLS] before a text, [SEP] after it, [MASK] among the added tokens."""
    tokens = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "ink", "stone", "##s", "on", "."]
    backend = tokenizers.Tokenizer(tokenizers.models.WordPiece({t: i for i, t in enumerate(tokens)}, unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    backend.add_special_tokens(tokens[:5])
    backend.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    backend.save(str(folder / "tokenizer.json"))
    return Tokenizer.load(folder)


def opened(folder) -> Encoder:
    config = json.loads((folder / "config.json").read_text())
    place = folder / "config.json"
    model = Encoder(bert.settings_from(config, place), Tokenizer.load(folder)).eval()
    tensors = load_file(folder / "model.safetensors")
    model.load_state_dict(bert.from_foreign(config, dict(model.named_parameters()), tensors, place))
    return model


@pytest.fixture
def ids():
    return torch.randint(4, VOCAB, (2, 30), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", CHECKPOINTS)
@torch.no_grad()
def test_logits_equal_those_of_transformers(name, ids, tmp_path):
    theirs = checkpoint(name)
    theirs.save_pretrained(tmp_path)
    wordpiece(tmp_path)
    ours = opened(tmp_path)
    assert ours.settings.mask == 3 and ours.settings.closed
    assert ours.settings.context == (40 if name == "bert" else 38)
    torch.testing.assert_close(ours(ids), theirs(ids).logits, rtol=0, atol=1e-4)
    if name == "bert":
        types = (torch.arange(30) > 12).long().expand(2, -1) * 2
        torch.testing.assert_close(ours(ids, types=types), theirs(ids, token_type_ids=types).logits, rtol=0, atol=1e-4)
        document = torch.tensor([[0] * 30, [0] * 20 + [-1] * 10])
        padded = theirs(ids, attention_mask=(document == 0).long()).logits
        torch.testing.assert_close(ours(ids, document)[document == 0], padded[document == 0], rtol=0, atol=1e-4)


@torch.no_grad()
def test_pseudo_log_likelihood_as_salazar_et_al_do_it_with_transformers(tmp_path):
    """[CLS] text [SEP], one token after the other hidden; the end token is ours to add."""
    theirs = checkpoint("bert")
    theirs.save_pretrained(tmp_path)
    text = wordpiece(tmp_path).encode("ink on stones .")
    whole = [1, *text, 2]
    expected = 0.0
    for place in range(1, len(whole)):
        shown = torch.tensor([whole])
        shown[0, place] = 3
        expected -= theirs(shown).logits[0, place].log_softmax(-1)[whole[place]].item()
    found = opened(tmp_path).document_nats([torch.tensor(text).numpy()], None)
    assert found[0] == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_names_of_the_first_checkpoints_and_heads_that_are_not_ours(ids, tmp_path):
    theirs = checkpoint("bert")
    theirs.save_pretrained(tmp_path)
    wordpiece(tmp_path)
    before = opened(tmp_path)(ids)
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in load_file(tmp_path / "model.safetensors").items()
    }
    renamed |= {"bert.pooler.dense.weight": torch.zeros(32, 32), "cls.seq_relationship.weight": torch.zeros(2, 32)}
    save_file(renamed, tmp_path / "model.safetensors")
    assert torch.equal(opened(tmp_path)(ids), before)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_dropout_of_a_checkpoint_is_that_of_its_training(name, tmp_path):
    theirs = checkpoint(name)
    theirs.config.hidden_dropout_prob = 0.25
    theirs.save_pretrained(tmp_path)
    wordpiece(tmp_path)
    ours, place = opened(tmp_path), tmp_path / "config.json"
    assert ours.settings.dropout == 0.25 == bert.config_from(ours.settings, torch.float32, 2)["hidden_dropout_prob"]
    config = json.loads(place.read_text())
    for value in (1.0, -0.1, "much", None, True):
        with pytest.raises(RunError, match="hidden_dropout_prob is"):
            bert.settings_from({**config, "hidden_dropout_prob": value}, place)
    del config["hidden_dropout_prob"]
    assert bert.settings_from(config, place).dropout == BertConfig().hidden_dropout_prob


def own(**changes) -> Encoder:
    size = tokenizer().vocab_size
    settings = EncoderSettings(
        **{**dict(vocab_size=size, width=32, n_layers=2, n_heads=4, hidden=48, context=40), **changes}
    )
    generator = torch.Generator().manual_seed(0)
    model = Encoder(settings, tokenizer()).initialise(generator).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return model


@torch.no_grad()
def test_an_encoder_of_ours_opens_in_transformers_and_comes_back(tmp_path):
    ours = own()
    bert.write(ours, tmp_path)
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    assert type(theirs) is BertForMaskedLM
    size = ours.settings.vocab_size
    ids = torch.randint(0, size + 1, (2, 30), generator=torch.Generator().manual_seed(0))
    logits = theirs(ids).logits
    torch.testing.assert_close(logits[..., :size], ours(ids), rtol=0, atol=1e-4)
    torch.testing.assert_close(logits.log_softmax(-1)[..., :size], ours(ids).log_softmax(-1), rtol=0, atol=1e-4)
    fast = AutoTokenizer.from_pretrained(tmp_path)
    assert fast.mask_token_id == size == ours.settings.mask_id and len(fast) == size + 1
    back = opened(tmp_path)
    assert back.settings.mask == size and not back.settings.closed
    torch.testing.assert_close(back(ids), logits, rtol=0, atol=1e-4)
    document = torch.randint(0, size, (9,)).numpy()
    assert back.document_nats([document], None) == pytest.approx(ours.document_nats([document], None), rel=1e-5)


@torch.no_grad()
def test_a_checkpoint_goes_out_as_it_came(ids, tmp_path):
    (tmp_path / "in").mkdir()
    theirs = checkpoint("bert")
    theirs.save_pretrained(tmp_path / "in")
    wordpiece(tmp_path / "in")
    bert.write(opened(tmp_path / "in"), tmp_path / "out")
    first, second = (load_file(tmp_path / side / "model.safetensors") for side in ("in", "out"))
    for name in second:
        assert torch.equal(first[name], second[name]), name
    assert torch.equal(AutoModelForMaskedLM.from_pretrained(tmp_path / "out").eval()(ids).logits, theirs(ids).logits)


def test_what_is_not_supported_is_named(tmp_path):
    checkpoint("bert").save_pretrained(tmp_path)
    place = tmp_path / "config.json"
    config = json.loads(place.read_text())
    with pytest.raises(RunError, match=r"no mask_token_id, and no \[MASK\]"):
        bert.settings_from(config, place)
    wordpiece(tmp_path)
    for changes, words in [
        (dict(hidden_act="relu"), "hidden_act = 'relu'"),
        (dict(is_decoder=True), "is_decoder = True"),
        (dict(position_embedding_type="relative_key"), "position_embedding_type"),
        (dict(architectures=["BertForNextSentencePrediction"]), "BertForNextSentencePrediction is no masked"),
        (dict(model_type="albert", architectures=None), "albert is no masked"),
        (dict(hidden_size=None), "hidden_size is None"),
    ]:
        with pytest.raises(RunError, match=words):
            bert.settings_from({**config, **changes}, place)
    tensors = load_file(tmp_path / "model.safetensors")
    model = Encoder(bert.settings_from(config, place), Tokenizer.load(tmp_path))
    ours = dict(model.named_parameters())
    tensors.pop("cls.predictions.bias")
    with pytest.raises(CheckpointError, match=r"cls\.predictions\.bias is missing"):
        bert.from_foreign(config, ours, tensors, place)
    tensors["cls.predictions.bias"] = torch.zeros(3)
    with pytest.raises(CheckpointError, match=r"shape \(3,\); the configuration asks for \(50,\)"):
        bert.from_foreign(config, ours, tensors, place)
    with pytest.raises(RunError, match="'modern' with 2 types"):
        bert.write(own(layout="modern"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
