"""BART and Marian: logits and greedy generation against transformers, which wrote or opens the same folder."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM, BartConfig, BartForConditionalGeneration, MarianConfig, MarianMTModel

from inkstone.errors import CheckpointError, RunError
from inkstone.hub import bart_marian
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings

from .checkpoints import tokenizer

VOCAB = 310
SHAPE = dict(
    vocab_size=VOCAB, d_model=32, encoder_layers=2, decoder_layers=3, encoder_attention_heads=4, decoder_attention_heads=4,
    encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64, pad_token_id=1, eos_token_id=2,
    decoder_start_token_id=5, forced_eos_token_id=None,
)  # fmt: skip
CHECKPOINTS = {
    "bart": lambda: BartForConditionalGeneration(BartConfig(**SHAPE, bos_token_id=0)),
    "bart-scaled": lambda: BartForConditionalGeneration(
        BartConfig(**SHAPE, bos_token_id=0, scale_embedding=True, activation_function="relu")
    ),
    "bart-untied": lambda: BartForConditionalGeneration(BartConfig(**SHAPE, bos_token_id=0, tie_word_embeddings=False)),
    "marian": lambda: MarianMTModel(MarianConfig(**SHAPE, scale_embedding=True, activation_function="swish")),
    "marian-unshared": lambda: MarianMTModel(
        MarianConfig(**SHAPE, decoder_vocab_size=VOCAB, share_encoder_decoder_embeddings=False)
    ),
}


def checkpoint(name: str):
    torch.manual_seed(0)
    model = CHECKPOINTS[name]().eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:  # the sinusoids of Marian are not learned
                weight.add_(torch.randn_like(weight) * (1.0 if weight.shape[0] == VOCAB else 0.2))
        model.final_logits_bias.normal_(0, 0.5)
    return model


def opened(folder) -> EncoderDecoder:
    config, place = json.loads((folder / "config.json").read_text()), folder / "config.json"
    model = EncoderDecoder(bart_marian.settings_from(config, place), tokenizer()).eval()
    tensors = load_file(folder / "model.safetensors")
    model.load_state_dict(bart_marian.from_foreign(config, dict(model.named_parameters()), tensors, place))
    return model


def some_ids(rows: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(6, VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))


def greedy(model: EncoderDecoder, source: torch.Tensor, n: int) -> torch.Tensor:
    state = model.start(len(source), model.encode(source))
    written = torch.full((len(source), 1), model.first)
    for _ in range(n):
        scores, state = model.step(written[:, -1:], state)
        written = torch.cat((written, scores[:, -1].argmax(-1, keepdim=True)), dim=1)
    return written


@pytest.mark.parametrize("name", CHECKPOINTS)
@torch.no_grad()
def test_logits_and_greedy_generation_equal_those_of_transformers(name, tmp_path):
    theirs = checkpoint(name)
    theirs.save_pretrained(tmp_path)
    ours = opened(tmp_path)
    source, target = some_ids(2, 20), some_ids(2, 11, 1)
    expected = theirs(source, decoder_input_ids=target).logits
    torch.testing.assert_close(ours(target, memory=ours.encode(source)), expected, rtol=0, atol=1e-4)
    document = torch.tensor([[0] * 20, [0] * 12 + [-1] * 8])
    padded = theirs(source, attention_mask=(document == 0).long(), decoder_input_ids=target).logits
    torch.testing.assert_close(ours(target, memory=ours.encode(source, document)), padded, rtol=0, atol=1e-4)
    options = dict(do_sample=False, num_beams=1, min_new_tokens=12, max_new_tokens=12, eos_token_id=None)
    written = theirs.generate(source, attention_mask=torch.ones_like(source), **options)
    assert greedy(ours, source, 12).tolist() == written.tolist()
    assert ours.first == 5 and len(set(written.flatten().tolist())) > 2


@torch.no_grad()
def test_checkpoints_of_the_body_alone(tmp_path):
    theirs = checkpoint("bart")
    theirs.save_pretrained(tmp_path)
    place, config = tmp_path / "config.json", json.loads((tmp_path / "config.json").read_text())
    tensors = load_file(tmp_path / "model.safetensors")
    body = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name != "final_logits_bias"}
    save_file(
        {name: tensor for name, tensor in body.items() if not name.startswith("lm_head")},
        tmp_path / "model.safetensors",
    )
    place.write_text(json.dumps({**config, "architectures": ["BartModel"]}))
    theirs.final_logits_bias.zero_()
    source, target = some_ids(1, 9), some_ids(1, 5, 1)
    ours = opened(tmp_path)
    expected = theirs(source, decoder_input_ids=target).logits
    torch.testing.assert_close(ours(target, memory=ours.encode(source)), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["bart", "marian"])
def test_the_dropout_of_a_checkpoint_is_that_of_its_training(name, tmp_path):
    theirs = checkpoint(name)
    theirs.config.dropout = 0.25
    theirs.save_pretrained(tmp_path)
    ours, place = opened(tmp_path), tmp_path / "config.json"
    assert ours.settings.dropout == 0.25 == bart_marian.config_from(ours.settings, torch.float32, 2)["dropout"]
    config = json.loads(place.read_text())
    with pytest.raises(RunError, match="dropout is 1"):
        bart_marian.settings_from({**config, "dropout": 1}, place)
    del config["dropout"]
    assert bart_marian.settings_from(config, place).dropout == BartConfig().dropout == MarianConfig().dropout


def own(**changes) -> EncoderDecoder:
    shape = dict(vocab_size=tokenizer().vocab_size, width=32, n_layers=2, n_heads=4, hidden=48, context=40, norm="post")
    settings = EncoderDecoderSettings(**{**shape, "n_sentinels": 4, **changes})
    generator = torch.Generator().manual_seed(0)
    model = EncoderDecoder(settings, tokenizer()).initialise(generator).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return model


OWN = {
    "marian": {},
    "marian-decoder": dict(n_decoder_layers=1, shared=False, activation="silu"),
    "marian-untied": dict(tied=False),
    "bart-untied": dict(positions="learned", embedding_norm=True, tied=False, shared=False),
    "bart": dict(positions="learned", embedding_norm=True, output_bias=True, activation="gelu", scaled=False),
}


@pytest.mark.parametrize("name", OWN)
@torch.no_grad()
def test_a_model_of_ours_opens_in_transformers_and_comes_back(name, tmp_path):
    ours = own(**OWN[name])
    bart_marian.write(ours, tmp_path)
    theirs = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    assert type(theirs).__name__ == bart_marian.ARCHITECTURES[name.split("-")[0]]
    size = ours.settings.vocab_size
    source = torch.randint(0, size + 4, (2, 12), generator=torch.Generator().manual_seed(0))
    target = torch.randint(0, size, (2, 7), generator=torch.Generator().manual_seed(1))
    found = ours(target, memory=ours.encode(source)).log_softmax(-1)
    logits = theirs(source, attention_mask=torch.ones_like(source), decoder_input_ids=target).logits
    torch.testing.assert_close(logits.log_softmax(-1)[..., :size], found, rtol=0, atol=1e-4)
    assert theirs.config.decoder_start_token_id == ours.first == tokenizer().end
    back = opened(tmp_path)
    torch.testing.assert_close(back(target, memory=back.encode(source)), logits, rtol=0, atol=1e-4)


def test_what_is_not_supported_is_named(tmp_path):
    checkpoint("marian").save_pretrained(tmp_path)
    place = tmp_path / "config.json"
    config = json.loads(place.read_text())
    for changes, words in [
        (dict(normalize_before=True), "normalize_before = True"),
        (dict(normalize_embedding=True), "normalize_embedding = True"),
        (dict(decoder_ffn_dim=7), "decoder_ffn_dim = 7"),
        (dict(decoder_attention_heads=2), "decoder_attention_heads = 2"),
        (dict(decoder_vocab_size=7), "one vocabulary for both"),
        (dict(activation_function="tanh"), "activation_function = 'tanh'"),
        (dict(model_type="t5", architectures=["T5ForConditionalGeneration"]), "T5ForConditionalGeneration is no"),
        (dict(d_model=0), "d_model is 0"),
    ]:
        with pytest.raises(RunError, match=words):
            bart_marian.settings_from({**config, **changes}, place)
    tensors = load_file(tmp_path / "model.safetensors")
    ours = dict(EncoderDecoder(bart_marian.settings_from(config, place), tokenizer()).named_parameters())
    gone = {name: tensor for name, tensor in tensors.items() if "fc1" not in name}
    with pytest.raises(CheckpointError, match="and 5 more are missing"):
        bart_marian.from_foreign(config, ours, gone, place)
    for changes in (dict(norm="pre"), dict(positions="rotary"), dict(embedding_norm=True)):
        with pytest.raises(RunError, match="neither as BART"):
            bart_marian.write(own(**changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()
