"""CTranslate2 itself opens what we write and says the same log-probabilities and the same greedy texts."""

import json

import numpy as np
import pytest
import torch

from inkstone.errors import RunError
from inkstone.hub.ctranslate2_folder import vocabulary, write_ctranslate2
from inkstone.hub.export import export
from inkstone.hub.folder import save
from inkstone.hub.headed_layout import save_headed
from inkstone.layers.rotary import RotaryScaling
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.models.headed import Headed, HeadSettings
from inkstone.models.neural_ngram import NeuralNgram, NeuralNgramSettings

from .checkpoints import TEXTS, VOCAB, decoder, greedy, some_ids, tokenizer

ctranslate2 = pytest.importorskip("ctranslate2")

MODELS = {
    "qwen3": dict(layout="qwen3"),
    "qwen3-untied-biases": dict(layout="qwen3", tied=False, attention_bias=True),
    "qwen3-equal-heads": dict(layout="qwen3", n_kv_heads=4, norm_eps=1e-2),
    "llama": dict(layout="llama", norm_eps=1e-2, rotary_theta=500.0),
    "llama-biases": dict(layout="llama", attention_bias=True, hidden_bias=True, tied=False),
    "llama-llama3": dict(layout="llama", rotary_scaling=RotaryScaling("llama3", 4.0, 1.0, 4.0, 24)),
    "llama-linear": dict(layout="llama", rotary_scaling=RotaryScaling("linear", 3.0, original_context=96)),
    "gpt2": dict(layout="gpt2"),
    "gpt2-untied": dict(layout="gpt2", tied=False, norm_eps=1e-2),
}
TRANSLATORS = {
    "marian": dict(norm="post", scaled=True, output_bias=True),
    "bart": dict(norm="post", positions="learned", embedding_norm=True, activation="gelu", scaled=False),
    "rotary": dict(norm="pre", positions="rotary", tied=False, shared=False, activation="silu"),
    "pre": dict(norm="pre", activation="gelu-tanh", first=7, norm_eps=1e-2),
}


def generator(folder, **options):
    return ctranslate2.Generator(str(folder), intra_threads=1, **options)


def log_probabilities(folder, ids: torch.Tensor, **options) -> np.ndarray:
    """Of the token after each position, (b, t, v)."""
    answer = generator(folder, **options).forward_batch(ids.tolist(), return_log_probs=True)
    return np.array(answer)


@pytest.mark.parametrize("name", MODELS)
def test_log_probabilities_and_greedy_texts_of_decoders_are_ours(name, tmp_path):
    model = decoder(**MODELS[name])
    write_ctranslate2(model, tmp_path / "out")
    ids = some_ids()
    with torch.no_grad():
        expected = model.step(ids, model.start(2))[0].numpy()
    np.testing.assert_allclose(log_probabilities(tmp_path / "out", ids), expected, atol=2e-4)
    names = vocabulary(model.tokenizer, VOCAB)
    for text in TEXTS[:3]:
        prompt = [model.tokenizer.end, *model.tokenizer.encode(text)]
        (answer,) = generator(tmp_path / "out").generate_batch(
            [[names[number] for number in prompt]], max_length=20, include_prompt_in_result=False, end_token=[]
        )
        ours = greedy(model, prompt, 20)
        kept = ours.index(model.tokenizer.end) if model.tokenizer.end in ours else 20
        assert answer.sequences_ids[0][:kept] == ours[:kept]


def translator(**changes) -> EncoderDecoder:
    shape = dict(vocab_size=tokenizer().vocab_size, width=32, n_layers=2, n_decoder_layers=3, n_heads=4, hidden=48)
    settings = EncoderDecoderSettings(**{**shape, "context": 40, "n_sentinels": 4, **changes})
    generator = torch.Generator().manual_seed(0)
    model = EncoderDecoder(settings, tokenizer()).initialise(generator).eval()
    with torch.no_grad():
        for weight in model.parameters():
            rows = weight.shape[0] == settings.vocab_size + settings.n_sentinels
            weight.add_(torch.randn(weight.shape, generator=generator) * (1.0 if rows else 0.2))
    return model


@pytest.mark.parametrize("name", TRANSLATORS)
@torch.no_grad()
def test_log_probabilities_and_greedy_texts_of_encoder_decoders_are_ours(name, tmp_path):
    model = translator(**TRANSLATORS[name])
    write_ctranslate2(model, tmp_path / "out")
    v, end = model.settings.vocab_size, model.tokenizer.end
    names = vocabulary(model.tokenizer, v)
    theirs = ctranslate2.Translator(str(tmp_path / "out"), intra_threads=1)
    source, target = torch.randint(3, v, (2, 14), generator=torch.Generator().manual_seed(0))
    memory = model.encode(source[None])
    scores, _ = model.step(torch.tensor([[model.first, *target.tolist()]]), model.start(1, memory))
    expected = [float(scores[0, place, number]) for place, number in enumerate([*target.tolist(), end])]
    spelled = [[names[number] for number in ids.tolist()] for ids in (source, target)]
    (answer,) = theirs.score_batch([spelled[0]], [spelled[1]])
    assert answer.log_probs == pytest.approx(expected, abs=2e-3)  # its GELU is an approximation
    state, written = model.start(1, memory), [model.first]
    while len(written) < 13 and (len(written) == 1 or written[-1] != end):
        scores, state = model.step(torch.tensor([written[-1:]]), state)
        written.append(int(scores[0, -1].argmax()))
    (answer,) = theirs.translate_batch([spelled[0]], beam_size=1, max_decoding_length=12)
    assert answer.hypotheses[0] == [names[number] for number in written[1:] if number != end]


def test_int8_is_near_and_four_times_smaller(tmp_path):
    model = decoder("qwen3", hidden=512)
    write_ctranslate2(model, tmp_path / "whole")
    write_ctranslate2(model, tmp_path / "int8", "int8")
    sizes = [(tmp_path / name / "model.bin").stat().st_size for name in ("whole", "int8")]
    assert sizes[1] < 0.32 * sizes[0]
    ids = some_ids(1, 40)
    whole, short = (log_probabilities(tmp_path / name, ids) for name in ("whole", "int8"))
    assert 0 < np.abs(whole - short).max() < 1.0 and np.corrcoef(whole.ravel(), short.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_types_halve_the_file_and_open(dtype, tmp_path):
    model = decoder("llama", hidden=512)
    write_ctranslate2(model, tmp_path / "whole")
    write_ctranslate2(model, tmp_path / "short", dtype)
    sizes = [(tmp_path / name / "model.bin").stat().st_size for name in ("whole", "short")]
    assert sizes[1] < 0.52 * sizes[0]
    ids = some_ids(1, 20)
    np.testing.assert_allclose(
        log_probabilities(tmp_path / "short", ids), log_probabilities(tmp_path / "whole", ids), atol=0.3
    )


def test_the_tokenizer_lies_beside_and_every_row_has_a_name_of_its_own(tmp_path):
    write_ctranslate2(decoder("gpt2"), tmp_path / "out")
    names = json.loads((tmp_path / "out" / "vocabulary.json").read_text())
    assert len(names) == VOCAB == len(set(names)) and names[-1] == f"[unused {VOCAB - 1}]"
    assert (tmp_path / "out" / "tokenizer.json").exists()
    assert names[tokenizer().end] == "<|endoftext|>"


def test_a_run_is_exported_with_its_template_and_one_that_translates_by_its_body(tmp_path):
    save(decoder("qwen3"), tmp_path / "run")
    (tmp_path / "run" / "chat_template.jinja").write_text("{{ messages }}")
    out = export(tmp_path / "run", to="ctranslate2", dtype="int8")
    assert out == tmp_path / "run-ctranslate2" and (out / "chat_template.jinja").read_text() == "{{ messages }}"
    ctranslate2.Generator(str(out))
    save_headed(Headed(translator(), HeadSettings("text")), tmp_path / "tuned", {"name": "translate"})
    ctranslate2.Translator(str(export(tmp_path / "tuned", to="ctranslate2", out=tmp_path / "theirs")))
    with pytest.raises(
        RunError, match=r"tuned for a task, which 'gguf' has no layout for; .*--to hf and --to ctranslate2"
    ):
        export(tmp_path / "tuned", to="gguf")


def test_what_it_has_no_room_for_is_refused(tmp_path):
    save(decoder("qwen3"), tmp_path / "run")
    with pytest.raises(RunError, match="no dtype 'q8_0' of the format 'ctranslate2'"):
        export(tmp_path / "run", to="ctranslate2", dtype="q8_0")
    with pytest.raises(RunError, match="no dtype 'int8' of the format 'gguf'"):
        export(tmp_path / "run", to="gguf", dtype="int8")
    settings = NeuralNgramSettings.of_size(tokenizer().vocab_size, 8, 1)
    save(NeuralNgram(settings, tokenizer()), tmp_path / "neural")
    with pytest.raises(RunError, match="'neural_ngram', which 'ctranslate2' has no layout for"):
        export(tmp_path / "neural", to="ctranslate2")


def test_a_model_that_copies_is_refused_and_not_written_without_its_copying(tmp_path):
    with pytest.raises(RunError, match=r"copies from its source.*model\.copying=false"):
        write_ctranslate2(translator(copying=True), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_type_it_does_not_store_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(RunError, match="float32, float16, bfloat16, int8, not q4_0"):
        write_ctranslate2(decoder("gpt2"), tmp_path / "out", "q4_0")
    assert not list(tmp_path.iterdir())
