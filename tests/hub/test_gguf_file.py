"""GGUF against the package gguf, whose table of names is llama.cpp's own, and against llama.cpp itself."""

import numpy as np
import pytest
import tokenizers
import torch
from tokenizers import Regex, decoders, pre_tokenizers

from inkstone.errors import RunError
from inkstone.hub.gguf_file import cut_name, write_gguf
from inkstone.hub.huggingface_weights import to_foreign
from inkstone.layers.rotary import RotaryScaling
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer

from .checkpoints import TEXTS, VOCAB, decoder, tokenizer

gguf = pytest.importorskip("gguf")

MODELS = {
    "qwen3": dict(layout="qwen3"),
    "qwen3-untied": dict(layout="qwen3", tied=False),
    "llama": dict(layout="llama"),
    "llama-biases": dict(layout="llama", attention_bias=True, hidden_bias=True, tied=False),
    "llama-llama3": dict(layout="llama", rotary_scaling=RotaryScaling("llama3", 4.0, 1.0, 4.0, 24)),
    "llama-linear": dict(layout="llama", rotary_scaling=RotaryScaling("linear", 3.0, original_context=96)),
    "gpt2": dict(layout="gpt2"),
    "gpt2-untied": dict(layout="gpt2", tied=False),
}


def metadata(reader) -> dict:
    return {name: field.contents() for name, field in reader.fields.items()}


@pytest.mark.parametrize("name", MODELS)
def test_tensors_stand_under_the_names_and_in_the_order_of_llama_cpp(name, tmp_path):
    model = decoder(**MODELS[name])
    s = model.settings
    write_gguf(model, tmp_path / "model.gguf", "tiny", "float32")
    written = {tensor.name: tensor.data for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[s.layout.upper()], s.n_layers)
    expected = {}
    for foreign, tensor in to_foreign(s, dict(model.named_parameters())).items():
        numbers = tensor.detach().numpy()
        if foreign.startswith("transformer.h") and foreign.endswith("weight") and numbers.ndim == 2:
            numbers = numbers.T  # the first layers of GPT-2 were convolutions of width one
        for part, heads in (("q_proj", s.n_heads), ("k_proj", s.n_kv_heads)):
            if s.layout == "llama" and part in foreign:
                numbers = numbers.reshape(heads, 2, s.head_width // 2, -1).swapaxes(1, 2).reshape(numbers.shape)
        expected[names.get_name(foreign, try_suffixes=(".weight", ".bias"))] = numbers
    factors = written.pop("rope_freqs.weight", None)
    assert (factors is not None) == (name == "llama-llama3")
    assert written.keys() == expected.keys()
    for key in expected:
        np.testing.assert_array_equal(written[key], expected[key], err_msg=key)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-3), ("bfloat16", 8e-3)])
def test_short_types_keep_vectors_and_positions_whole(dtype, tolerance, tmp_path):
    model = decoder("gpt2")
    write_gguf(model, tmp_path / "model.gguf", "tiny", dtype)
    kinds = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    matrix = kinds["blk.0.ffn_up.weight"]
    assert matrix.tensor_type.name == {"float16": "F16", "bfloat16": "BF16"}[dtype]
    for name in ("position_embd.weight", "blk.0.ffn_up.bias", "output_norm.weight"):
        assert kinds[name].tensor_type.name == "F32"
    np.testing.assert_allclose(
        gguf.quants.dequantize(matrix.data, matrix.tensor_type),
        model.blocks[0].feed_forward.up.weight.detach().numpy(),
        rtol=tolerance,
    )


@pytest.mark.parametrize("dtype", ["q8_0", "q4_0"])
def test_blocks_of_a_scale_each(dtype, tmp_path):
    """Rows of 32 and 64 numbers go into blocks, those of 48 do not; the embedding keeps 8 bits."""
    model = decoder("qwen3")
    write_gguf(model, tmp_path / "model.gguf", "tiny", dtype)
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    assert kinds["blk.0.ffn_up.weight"] == kinds["blk.1.attn_output.weight"] == dtype.upper()
    assert kinds["token_embd.weight"] == "Q8_0" and kinds["blk.0.ffn_down.weight"] == "F16"
    assert kinds["output_norm.weight"] == kinds["blk.0.attn_q_norm.weight"] == "F32"
    file_type = metadata(reader)["general.file_type"]
    assert gguf.LlamaFileType(file_type).name == f"MOSTLY_{dtype.upper()}"
    up = next(tensor for tensor in reader.tensors if tensor.name == "blk.0.ffn_up.weight")
    written = gguf.quants.dequantize(up.data, up.tensor_type)
    ours = model.blocks[0].feed_forward.gate_up.weight.detach().numpy()[48:]
    step = np.abs(ours.reshape(48, 1, 32)).max(-1) / {"q8_0": 127, "q4_0": 8}[dtype]  # of the numbers of a block
    assert (np.abs(written - ours) <= step * (1.02 if dtype == "q4_0" else 0.6)).all() and (written != ours).any()


def test_metadata_describe_the_model_and_its_tokenizer(tmp_path):
    model = decoder("qwen3", rotary_theta=5e5)
    write_gguf(model, tmp_path / "model.gguf", "tiny", "float32")
    facts = metadata(gguf.GGUFReader(tmp_path / "model.gguf"))
    expected = {
        "general.architecture": "qwen3",
        "general.name": "tiny",
        "qwen3.context_length": 96,
        "qwen3.embedding_length": 32,
        "qwen3.block_count": 2,
        "qwen3.feed_forward_length": 48,
        "qwen3.attention.head_count": 4,
        "qwen3.attention.head_count_kv": 2,
        "qwen3.attention.key_length": 16,
        "qwen3.rope.freq_base": 5e5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.bos_token_id": tokenizer().end,
        "tokenizer.ggml.eos_token_id": tokenizer().end,
        "tokenizer.ggml.add_bos_token": True,
    }
    assert {key: facts[key] for key in expected} == expected
    assert facts["qwen3.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)
    tokens, types = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    assert len(tokens) == len(types) == VOCAB
    for token, number in tokenizer().backend.get_vocab(with_added_tokens=True).items():
        assert tokens[number] == token
    assert types[tokenizer().end] == gguf.TokenType.CONTROL and types[VOCAB - 1] == gguf.TokenType.UNUSED


def cut_by(pre_tokenizer) -> Tokenizer:
    backend = tokenizers.Tokenizer.from_str(tokenizer().backend.to_str())
    backend.pre_tokenizer = pre_tokenizer
    return Tokenizer(backend, "foreign", tokenizer().end)


def test_the_way_to_cut_text_is_told_by_its_pattern():
    assert cut_name(tokenizer()) == "qwen2"
    assert cut_name(cut_by(pre_tokenizers.ByteLevel(add_prefix_space=False))) == "gpt-2"
    with pytest.raises(RunError, match="no name for how this tokenizer cuts"):
        cut_name(cut_by(pre_tokenizers.ByteLevel(add_prefix_space=True)))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for pattern in (r"\p{L}+", r"\s+"):
        with pytest.raises(RunError, match="no name"):
            cut_name(cut_by(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level])))


@pytest.mark.parametrize("kind", ["unigram", "word", "character"])
def test_other_kinds_of_tokenizer_are_refused(kind):
    with pytest.raises(RunError, match="byte-level BPE"):
        cut_name(learn_tokenizer(iter(TEXTS * 20), kind, 400))


def test_a_decoder_that_joins_words_otherwise_is_refused():
    other = tokenizers.Tokenizer.from_str(tokenizer().backend.to_str())
    other.decoder = decoders.Metaspace()
    with pytest.raises(RunError, match="byte-level BPE"):
        cut_name(Tokenizer(other, "foreign", tokenizer().end))


def test_biases_in_qwen3_and_unknown_types_are_refused(tmp_path):
    with pytest.raises(RunError, match="without biases"):
        write_gguf(decoder("qwen3", attention_bias=True), tmp_path / "model.gguf", "tiny", "float32")
    with pytest.raises(RunError, match="float32, float16, bfloat16, q8_0, q4_0, not as int4"):
        write_gguf(decoder("qwen3"), tmp_path / "model.gguf", "tiny", "int4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", MODELS)
def test_llama_cpp_continues_as_we_do(name, tmp_path):
    """Same ids, a likeliest token at each step, equal log-probabilities.

    Only tokens of printable ASCII may be drawn: llama.cpp's server reports no token before its character is whole.
    """
    llama = pytest.importorskip("xllamacpp", reason="xllamacpp (Python bindings of llama.cpp) is not installed")
    model = decoder(**MODELS[name])
    tolerance = 2e-3 if model.settings.layout == "gpt2" else 1e-4  # llama.cpp's GELU is a table in half precision
    write_gguf(model, tmp_path / "model.gguf", "tiny", "float32")
    parameters = llama.CommonParams()
    parameters.model.path = str(tmp_path / "model.gguf")
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = 96, 1, False
    parameters.cache_type_k = parameters.cache_type_v = llama.ggml_type.GGML_TYPE_F32
    parameters.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.cpuparams.n_threads = 1
    server = llama.Server(parameters)
    special = tokenizer().special_ids
    allowed = [i for i, word in enumerate(tokenizer().spelling) if i not in special and word.decode("latin-1").isprintable() and word.isascii()]  # fmt: skip
    bans = [[i, False] for i in range(VOCAB) if i not in allowed]
    for text in TEXTS[:4]:
        ids = [*model.tokenizer.begin, *model.tokenizer.encode(text)]
        request = dict(prompt=text, n_predict=12, temperature=0, logprobs=5, cache_prompt=False, logit_bias=bans)
        answer = server.handle_completions(request)
        assert answer["usage"]["prompt_tokens"] == len(ids)
        theirs = answer["choices"][0]["logprobs"]["content"]
        assert len(theirs) == 12
        for token in theirs:
            with torch.no_grad():
                log_probabilities = model.step(torch.tensor([ids]), model.start(1), last=True)[0][0, 0]
            for likely in token["top_logprobs"]:
                assert likely["logprob"] == pytest.approx(float(log_probabilities[likely["id"]]), abs=tolerance)
            assert float(log_probabilities[allowed].max() - log_probabilities[token["id"]]) < 2 * tolerance
            ids.append(token["id"])


@pytest.mark.parametrize("dtype", ["q8_0", "q4_0"])
def test_llama_cpp_runs_what_is_written_in_blocks(dtype, tmp_path):
    """Its log-probabilities are those of the weights as the file holds them."""
    llama = pytest.importorskip("xllamacpp", reason="xllamacpp (Python bindings of llama.cpp) is not installed")
    model = decoder("llama", hidden=64)
    write_gguf(model, tmp_path / "model.gguf", "tiny", dtype)
    for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors:  # what rounding left of our weights
        if tensor.name in ("token_embd.weight", "blk.0.attn_output.weight", "blk.1.attn_output.weight"):
            rounded = torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
            target = model.embedding if "embd" in tensor.name else model.blocks[int(tensor.name[4])].out
            target.weight.data.copy_(rounded)
    parameters = llama.CommonParams()
    parameters.model.path = str(tmp_path / "model.gguf")
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = 96, 1, False
    parameters.cpuparams.n_threads = 1
    answer = llama.Server(parameters).handle_completions(
        dict(prompt=TEXTS[0], n_predict=1, temperature=0, logprobs=20, cache_prompt=False)
    )
    ids = [*model.tokenizer.begin, *model.tokenizer.encode(TEXTS[0])]
    with torch.no_grad():
        ours = model.step(torch.tensor([ids]), model.start(1), last=True)[0][0, 0]
    told = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    apart = [abs(each["logprob"] - float(ours[each["id"]])) for each in told]
    assert len(apart) == 20 and max(apart) < {"q8_0": 0.1, "q4_0": 1.0}[dtype]
