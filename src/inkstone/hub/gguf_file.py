"""GGUF, the file of llama.cpp and Ollama: metadata, tokenizer and weights of a decoder in one file.

What llama.cpp has and what it has not, as far as it touches us:

- architectures qwen3 (without biases), llama and gpt2;
- of the tokenizers only byte-level BPE, and of its ways to cut a text into pieces only those that are compiled into
  llama.cpp under a name. Ours is cut by the pattern of Qwen2. Any normalisation before the cut is lost;
- special tokens written in a text become special there, where Inkstone leaves them text.

Matrices are written as float32, float16 or bfloat16, or in blocks of 32 numbers with a scale each: "q8_0" with 8 bits a number
and "q4_0" with 4, of which the embedding and the output matrix keep 8. Vectors and learned positions are always float32, and a
matrix whose rows are no multiple of 32 is float16 beside such blocks.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from inkstone.errors import MissingExtraError, RunError
from inkstone.files import whole_file
from inkstone.layers.rotary import frequencies
from inkstone.models.decoder import Decoder
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    import gguf

DTYPES = ("float32", "float16", "bfloat16", "q8_0", "q4_0")
BLOCK = 32  # numbers that share a scale

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CUTS = {  # the pattern that cuts a text into pieces: llama.cpp's name of it
    _CONTRACTIONS + r"\p{N}" + _REST: "qwen2",
    _CONTRACTIONS + r"\p{N}{1,3}" + _REST: "llama-bpe",
}

_KINDS = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "q8_0": "Q8_0", "q4_0": "Q4_0"}  # llama.cpp's names
_BLOCK = {
    "attention_norm": ("attn_norm",),
    "qkv": ("attn_q", "attn_k", "attn_v"),
    "out": ("attn_output",),
    "query_norm": ("attn_q_norm",),
    "key_norm": ("attn_k_norm",),
    "feed_forward_norm": ("ffn_norm",),
    "feed_forward.gate_up": ("ffn_gate", "ffn_up"),
    "feed_forward.up": ("ffn_up",),
    "feed_forward.down": ("ffn_down",),
}
_WHOLE = {"embedding": "token_embd", "positions": "position_embd", "norm": "output_norm", "head": "output"}


def write_gguf(
    model: Decoder, path: Path, name: str, dtype: str = "float16", template: ChatTemplate | None = None
) -> None:
    """Write a decoder, its tokenizer and its chat template as one GGUF file, whole or not at all.

    Raises RunError for what llama.cpp cannot run, MissingExtraError without the package gguf.
    """
    try:
        import gguf
    except ImportError:
        raise MissingExtraError("gguf", "gguf", "writing GGUF") from None
    if dtype not in DTYPES:
        raise RunError(f"GGUF is written as {', '.join(DTYPES)}, not as {dtype}")
    if model.settings.layout == "qwen3" and model.settings.attention_bias:
        raise RunError("llama.cpp runs Qwen3 without biases only; this model has attention biases")
    scaling = model.settings.rotary_scaling
    if scaling is not None and not scaling.fixed:
        raise RunError(
            f"the rotary scaling {scaling.kind!r} is not written as GGUF; stretch by linear or ntk, or use --to hf"
        )
    with whole_file(path) as part:
        writer = gguf.GGUFWriter(part, model.settings.layout)
        _write_settings(writer, model, name, dtype)
        _write_tokenizer(writer, model.tokenizer, model.settings.vocab_size)
        if template is not None:
            writer.add_chat_template(template.source)
            for number in sorted(template.ends - {model.tokenizer.end}):
                writer.add_eot_token_id(number)
        for tensor_name, tensor in gguf_tensors(model).items():
            kind = _kind_of(tensor_name, tensor, dtype)
            numbers = tensor.detach().float().cpu().numpy()
            writer.add_tensor(tensor_name, gguf.quants.quantize(numbers, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def gguf_tensors(model: Decoder) -> dict[str, Tensor]:
    """The weights under llama.cpp's names, in its order of rows."""
    s = model.settings
    tensors = {}
    rows = {
        "qkv": tuple(n * s.head_width for n in (s.n_heads, s.n_kv_heads, s.n_kv_heads)),
        "feed_forward.gate_up": (s.hidden, s.hidden),
    }
    for name, weight in model.named_parameters():
        module, _, kind = name.rpartition(".")
        if not module.startswith("blocks."):
            tensors[f"{_WHOLE[module]}.{kind}"] = weight
            continue
        _, layer, module = module.split(".", 2)
        if s.layout == "gpt2" and module == "qkv":
            tensors[f"blk.{layer}.attn_qkv.{kind}"] = weight
            continue
        parts = weight.split(rows[module]) if module in rows else (weight,)
        for part_name, part in zip(_BLOCK[module], parts, strict=True):
            if s.layout == "llama" and part_name in ("attn_q", "attn_k"):
                part = interleaved(part, s.n_heads if part_name == "attn_q" else s.n_kv_heads)
            tensors[f"blk.{layer}.{part_name}.{kind}"] = part
    if s.rotary_scaling is not None and s.rotary_scaling.kind == "llama3":
        plain = frequencies(s.head_width, s.rotary_theta)
        tensors["rope_freqs.weight"] = plain / frequencies(s.head_width, s.rotary_theta, s.rotary_scaling)
    return tensors


def interleaved(rows: Tensor, n_heads: int) -> Tensor:
    """Rows of queries or keys in the order in which llama.cpp turns those of the llama architecture.

    It turns neighbours, rows 2i and 2i + 1 of a head; Hugging Face and we turn rows i and i + d/2.

    >>> interleaved(Tensor([0, 1, 2, 3]).int(), n_heads=1).tolist()
    [0, 2, 1, 3]
    """
    return rows.view(n_heads, 2, -1, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def cut_name(tokenizer: Tokenizer) -> str:
    """llama.cpp's name (tokenizer.ggml.pre) of how a tokenizer cuts text. Raises RunError where it has none."""
    described = json.loads(tokenizer.backend.to_str())
    if described["model"]["type"] != "BPE" or (described["decoder"] or {}).get("type") != "ByteLevel":
        raise RunError(
            "GGUF export needs a byte-level BPE tokenizer; this one is "
            f"{described['model']['type'] if tokenizer.kind == 'foreign' else tokenizer.kind}. "
            "Train with --set tokenizer.kind=byte-bpe, or export --to hf"
        )
    cutter = described["pre_tokenizer"] or {}
    steps = cutter.get("pretokenizers", [cutter])
    if steps[-1].get("type") == "ByteLevel" and not steps[-1].get("add_prefix_space"):
        if len(steps) == 1 and steps[0].get("use_regex", True):
            return "gpt-2"
        if len(steps) == 2 and steps[0].get("type") == "Split" and not steps[1].get("use_regex", True):
            pattern = steps[0]["pattern"].get("Regex")
            if pattern in _CUTS:
                return _CUTS[pattern]
    raise RunError(
        "llama.cpp has no name for how this tokenizer cuts text into pieces; it knows the patterns of "
        f"gpt-2, {', '.join(_CUTS.values())}. Export --to hf instead"
    )


def _write_settings(writer: "gguf.GGUFWriter", model: Decoder, name: str, dtype: str) -> None:
    import gguf

    s = model.settings
    file_type = "ALL_F32" if dtype == "float32" else f"MOSTLY_{_KINDS[dtype]}"
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType[file_type])
    writer.add_context_length(s.context)
    writer.add_embedding_length(s.width)
    writer.add_block_count(s.n_layers)
    writer.add_feed_forward_length(s.hidden)
    writer.add_head_count(s.n_heads)
    writer.add_head_count_kv(s.n_kv_heads)
    writer.add_vocab_size(s.vocab_size)
    if s.layout == "gpt2":
        writer.add_layer_norm_eps(s.norm_eps)
        return
    writer.add_layer_norm_rms_eps(s.norm_eps)
    writer.add_key_length(s.head_width)
    writer.add_value_length(s.head_width)
    writer.add_rope_dimension_count(s.head_width)
    writer.add_rope_freq_base(s.rotary_theta)
    if s.rotary_scaling is not None and s.rotary_scaling.kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(s.rotary_scaling.factor)


def _write_tokenizer(writer: "gguf.GGUFWriter", tokenizer: Tokenizer, rows: int) -> None:
    import gguf

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut_name(tokenizer))
    described: dict[str, Any] = json.loads(tokenizer.backend.to_str())
    tokens = [f"[unused {number}]" for number in range(rows)]
    types = [gguf.TokenType.UNUSED] * rows
    for token, number in described["model"]["vocab"].items():
        tokens[number], types[number] = token, gguf.TokenType.NORMAL
    for added in described["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    merges = described["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    begin = tokenizer.begin
    writer.add_bos_token_id(begin[0] if begin else tokenizer.end)
    writer.add_eos_token_id(tokenizer.end)
    writer.add_add_bos_token(bool(begin))


def _kind_of(name: str, tensor: Tensor, dtype: str) -> "gguf.GGMLQuantizationType":
    import gguf

    kind = _KINDS[dtype]
    if tensor.dim() == 1 or name.startswith("position_embd"):
        kind = "F32"
    elif kind.startswith("Q") and tensor.shape[1] % BLOCK:
        kind = "F16"
    elif kind == "Q4_0" and name in ("token_embd.weight", "output.weight"):
        kind = "Q8_0"  # what goes in and out bears coarse steps worst
    return gguf.GGMLQuantizationType[kind]
