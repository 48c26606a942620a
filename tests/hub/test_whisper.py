"""Whisper: logits against transformers, which wrote or opens the same folder; import and export; what is not supported."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSpeechSeq2Seq, GenerationConfig

from hub.checkpoints import edit_config
from hub.whisper_checkpoints import LANGUAGES, STATES, whisper_checkpoint
from inkstone.errors import CheckpointError, RunError
from inkstone.hub import whisper
from inkstone.hub.export import export
from inkstone.hub.folder import load
from inkstone.hub.import_model import import_model
from inkstone.models.whisper import Whisper, WhisperSettings
from inkstone.tokens.tokenizer import Tokenizer


def some_features(rows: int = 2, bins: int = 80, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, bins, 2 * STATES, generator=torch.Generator().manual_seed(seed))


def some_ids(model, rows: int = 2, length: int = 9) -> torch.Tensor:
    size = model.settings.vocab_size
    return torch.randint(0, size, (rows, length), generator=torch.Generator().manual_seed(1))


def tokens_of(folder: Path, **changes):
    config = {**json.loads((folder / "config.json").read_text()), **changes}
    return whisper.speech_tokens(folder, config, Tokenizer.load(folder))


@pytest.mark.parametrize(
    "changes",
    [{}, dict(num_mel_bins=128, scale_embedding=True), dict(tie_word_embeddings=False, decoder_layers=1, activation_function="relu")],
)  # fmt: skip
@torch.no_grad()
def test_logits_are_those_of_transformers(changes, tmp_path):
    theirs = whisper_checkpoint(tmp_path, **changes)
    ours = load(tmp_path)
    assert isinstance(ours, Whisper) and ours.settings.frames == 2 * STATES
    features, ids = some_features(bins=ours.settings.bins), some_ids(ours)
    expected = theirs(features, decoder_input_ids=ids).logits
    memory = ours.encode(features)
    torch.testing.assert_close(ours(ids, memory=memory), expected, rtol=0, atol=1e-4)
    state, told = ours.start(2, memory), []
    for part in (ids[:, :3], ids[:, 3:4], ids[:, 4:]):
        scores, state = ours.step(part, state)
        told.append(scores)
    torch.testing.assert_close(torch.cat(told, 1), expected.log_softmax(-1), rtol=0, atol=1e-4)


@torch.no_grad()
def test_a_whisper_of_ours_opens_in_transformers_and_comes_back(tmp_path):
    whisper_checkpoint(tmp_path / "given")
    tokenizer = Tokenizer.load(tmp_path / "given")
    shape = dict(width=16, n_layers=1, n_decoder_layers=2, n_heads=2, hidden=24, context=20, source_context=STATES)
    settings = WhisperSettings(vocab_size=tokenizer.vocab_size, first=tokenizer.end + 1, **shape)
    generator = torch.Generator().manual_seed(0)
    ours = Whisper(settings, tokenizer).initialise(generator).eval()
    for name, weight in ours.named_parameters():
        if name != "source_positions.weight":
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.2)
    whisper.write(ours, tmp_path / "out")
    theirs = AutoModelForSpeechSeq2Seq.from_pretrained(tmp_path / "out").eval()
    features, ids = some_features(), some_ids(ours)
    expected = ours(ids, memory=ours.encode(features)).log_softmax(-1)
    # The bias of keys has no name there, and is not zero here.
    found = theirs(features, decoder_input_ids=ids).logits.log_softmax(-1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    back = load(tmp_path / "out")
    assert back.settings == settings  # type: ignore[attr-defined]
    torch.testing.assert_close(back(ids, memory=back.encode(features)).log_softmax(-1), expected, rtol=0, atol=1e-4)  # type: ignore


def test_a_checkpoint_is_written_with_how_it_is_to_write(tmp_path):
    theirs = whisper_checkpoint(tmp_path / "given")
    ours, tokens = load(tmp_path / "given"), tokens_of(tmp_path / "given")
    whisper.write(ours, tmp_path / "out", tokens)  # type: ignore[arg-type]
    assert tokens_of(tmp_path / "out") == tokens
    given, written = (GenerationConfig.from_pretrained(tmp_path / name).to_dict() for name in ("given", "out"))
    assert {key for key in given.keys() | written.keys() if given.get(key) != written.get(key)} <= {
        "transformers_version"
    }
    opened = AutoModelForSpeechSeq2Seq.from_pretrained(tmp_path / "out").eval()
    features = some_features(1)
    how = dict(language="de", task="transcribe", return_timestamps=True)
    assert opened.generate(features, **how).tolist() == theirs.generate(features, **how).tolist()
    (tmp_path / "out" / "generation_config.json").unlink()
    whisper.write(ours, tmp_path / "again")  # by the names of the tokens alone; so few are taken for English
    named = tokens_of(tmp_path / "again")
    assert (named.languages, named.no_times, named.previous, named.suppressed) == (
        {},
        tokens.no_times,
        tokens.previous,
        (),
    )


@torch.no_grad()
def test_the_empty_source_is_silence_and_probabilities_sum_to_one(tmp_path):
    whisper_checkpoint(tmp_path)
    ours = load(tmp_path)
    ids = some_ids(ours)
    scores, _ = ours.step(ids, ours.start(2))
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(2, 9))
    silence = torch.full((2, 80, 2 * STATES), -1.5)
    torch.testing.assert_close(scores, ours(ids, memory=ours.encode(silence)).log_softmax(-1))  # type: ignore
    with pytest.raises(ValueError, match="this model reads"):
        ours.encode(silence[:, :, 1:])  # type: ignore


def test_import_and_export_keep_a_checkpoint(tmp_path):
    theirs = whisper_checkpoint(tmp_path / "given")
    run = import_model(tmp_path / "given", tmp_path / "run")
    names = {"config.json", "model.safetensors", "generation_config.json", "tokenizer.json"}
    assert names <= {path.name for path in run.folder.iterdir()}
    assert run.facts()["origin"]["architecture"] == "WhisperForConditionalGeneration"
    features, ids = some_features(), some_ids(load(run.folder))
    for options in ({}, {"dtype": "float32"}):
        out = export(run.folder, out=tmp_path / f"out{len(options)}", **options)
        back = AutoModelForSpeechSeq2Seq.from_pretrained(out).eval()
        with torch.no_grad():
            found, expected = (model(features, decoder_input_ids=ids).logits for model in (back, theirs))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        assert back.generation_config.lang_to_id == theirs.generation_config.lang_to_id
        assert (out / "generation_config.json").read_bytes() == (run.folder / "generation_config.json").read_bytes()
        features_of = [name for name in whisper.FILES if (tmp_path / "given" / name).exists()]
        assert features_of and all((out / name).exists() for name in features_of)
    half = export(run.folder, out=tmp_path / "half", dtype="float16")
    assert {tensor.dtype for tensor in load_file(half / "model.safetensors").values()} == {torch.float16}


def test_the_tokens_of_a_checkpoint(tmp_path):
    theirs = whisper_checkpoint(tmp_path)
    tokens, generation = tokens_of(tmp_path), theirs.generation_config
    assert set(tokens.languages) == set(LANGUAGES)
    assert tokens.language("zh") == generation.lang_to_id["<|zh|>"]
    assert tokens.first_time == generation.no_timestamps_token_id + 1
    assert list(tokens.suppressed) == generation.suppress_tokens
    assert tokens.latest_first_time == 20 and tokens.alignment_heads[0] == (1, 0)
    transcribe, translate = generation.task_to_id["transcribe"], generation.task_to_id["translate"]
    english = tokens.language("en")
    assert tokens.prompt(english) == (tokens.start, english, transcribe)
    assert tokens.prompt(english, translate=True, times=False) == (tokens.start, english, translate, tokens.no_times)
    with pytest.raises(RunError, match="no language 'zz'"):
        tokens.language("zz")
    # Checkpoints from before generation_config.json told them have them among their tokens.
    place = tmp_path / "generation_config.json"
    place.write_text(json.dumps({"suppress_tokens": [1, 10**6]}))
    older = tokens_of(tmp_path, vocab_size=whisper.MULTILINGUAL)
    assert (older.languages, older.transcribe, older.no_times) == (tokens.languages, transcribe, tokens.no_times)
    assert older.suppressed == (1,)
    # One of English alone knows neither languages nor tasks.
    alone = tokens_of(tmp_path)
    assert alone.prompt(None) == (tokens.start,) and not alone.languages
    for wrong in (lambda: alone.language("en"), lambda: alone.prompt(None, translate=True)):
        with pytest.raises(RunError, match=r"English alone|translation"):
            wrong()


def test_what_is_not_supported_is_named(tmp_path):
    whisper_checkpoint(tmp_path)
    place = tmp_path / "config.json"
    config = json.loads(place.read_text())
    for changes, words in [
        (dict(architectures=["WhisperForAudioClassification"]), "WhisperForAudioClassification is no"),
        (dict(decoder_ffn_dim=7), "decoder_ffn_dim = 7"),
        (dict(activation_function="tanh"), "activation_function = 'tanh'"),
        (dict(d_model=0), "d_model is 0"),
    ]:
        with pytest.raises(RunError, match=words):
            whisper.settings_from({**config, **changes}, place)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({name: own for name, own in tensors.items() if "fc2" not in name}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="fc2"):
        load(tmp_path)
    for name in whisper.FILES:
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 8000}')
    with pytest.raises(RunError, match="sampling_rate = 8000"):
        tokens_of(tmp_path)
    edit_config(tmp_path, vocab_size=9)
    with pytest.raises(CheckpointError, match="the configuration asks for"):
        save_file(tensors, tmp_path / "model.safetensors")
        load(tmp_path)
