"""CTranslate2: a decoder or an encoder-decoder as the folder that its `Generator` or `Translator` opens.

model.bin, config.json and the vocabulary, as CTranslate2's own specifications write them, and beside these the tokenizer and
the chat template. Built from our weights as they are, so neither `transformers` nor a network is needed. It runs

- decoders of all our layouts; frequencies of "llama3" go in as factors of each (its kind "su"), which is the same;
- encoder-decoders whose norms stand before or after each part, with sinusoids, learned or rotary positions, BART's and
  Marian's among them. Sentinels, which no text holds, are left out.

Tokens are known there by their spelling in the vocabulary; a row of the embedding that no token has is called "[unused N]".
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from inkstone.errors import MissingExtraError, RunError
from inkstone.files import whole_folder
from inkstone.layers.positions import sinusoids
from inkstone.layers.rotary import frequencies
from inkstone.layers.transformer import TransformerBlock
from inkstone.models.decoder import Block, Decoder
from inkstone.models.encoder_decoder import EncoderDecoder
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from ctranslate2.specs.transformer_spec import TransformerDecoderModelSpec, TransformerSpec

DTYPES = ("float32", "float16", "bfloat16", "int8")
LONGEST = 4096  # places whose sinusoids are written for a model that has them for all


def write_ctranslate2(
    model: Decoder | EncoderDecoder, folder: Path, dtype: str = "float32", template: ChatTemplate | None = None
) -> None:
    """Write a model, its tokenizer and its chat template as a folder for CTranslate2, whole or not at all.

    `dtype` is that of the stored matrices; "int8" has a scale for each row (Wu et al. 2020, section 3). On a processor
    CTranslate2 computes in float32 or int8, whatever is stored.

    Raises MissingExtraError without the package ctranslate2, RunError for a dtype that it does not store, for a rotary scaling
    that is not written and for a model that copies from its source.
    """
    try:
        import ctranslate2.specs  # noqa: F401  (is it there?)
    except ImportError:
        raise MissingExtraError("ctranslate2", "engines", "writing for CTranslate2") from None
    if dtype not in DTYPES:
        raise RunError(f"CTranslate2 stores {', '.join(DTYPES)}, not {dtype}")
    scaling = model.settings.rotary_scaling if isinstance(model, Decoder) else None
    if scaling is not None and not scaling.fixed:
        raise RunError(
            f"the rotary scaling {scaling.kind!r} is not written for CTranslate2; stretch by linear or ntk, or use --to hf"
        )
    if isinstance(model, EncoderDecoder) and model.settings.copying:
        raise RunError(
            "CTranslate2 knows no model that copies from its source; tune with model.copying=false for one that it runs"
        )
    with torch.no_grad():
        spec = decoder_spec(model) if isinstance(model, Decoder) else encoder_decoder_spec(model)
    spec.validate()
    spec.optimize(dtype)
    with whole_folder(folder) as part:
        spec.save(str(part))
        model.tokenizer.save(part)
        if template is not None:
            template.save(part)


def decoder_spec(model: Decoder) -> "TransformerDecoderModelSpec":
    """A decoder in CTranslate2's terms."""
    from ctranslate2.specs import common_spec, transformer_spec
    from ctranslate2.specs.attention_spec import RotaryScalingType

    s = model.settings
    options: dict[str, Any] = dict(activation=common_spec.Activation.GELUTanh)
    if s.layout != "gpt2":
        options = dict(
            activation=common_spec.Activation.SWISH,
            ffn_glu=True,
            rms_norm=True,
            qk_norm=s.layout == "qwen3",
            rotary_dim=s.head_width,
            rotary_interleave=False,  # pairs are halves of a head, as with us
            rotary_base=s.rotary_theta,
            num_heads_kv=None if s.n_kv_heads == s.n_heads else s.n_kv_heads,
            head_dim=s.head_width,
        )
        if s.rotary_scaling is not None and s.rotary_scaling.kind == "linear":
            options |= dict(rotary_scaling_type=RotaryScalingType.Linear, rotary_scaling_factor=s.rotary_scaling.factor)
        elif s.rotary_scaling is not None:
            options |= dict(
                rotary_scaling_type=RotaryScalingType.Su,
                original_max_position_embeddings=s.context,
                max_position_embeddings=s.context,  # the two alike: attention is not scaled
            )
    spec: Any = transformer_spec.TransformerDecoderModelSpec.from_config(
        s.n_layers, s.n_heads, pre_norm=True, **options
    )
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = model.embedding.weight
    decoder.projection.weight = model.output_weight
    _norm(decoder.layer_norm, model.norm)
    if model.positions is not None:
        decoder.position_encodings.encodings = model.positions.weight
    for layer, block in zip(decoder.layer, model.blocks, strict=True):
        assert isinstance(block, Block)
        attention = layer.self_attention
        _norm(attention.layer_norm, block.attention_norm)
        _linear(attention.linear[0], block.qkv)
        _linear(attention.linear[1], block.out)
        if block.query_norm is not None and block.key_norm is not None:
            _norm(attention.q_norm, block.query_norm)
            _norm(attention.k_norm, block.key_norm)
        if s.rotary_scaling is not None and s.rotary_scaling.kind != "linear":
            plain = frequencies(s.head_width, s.rotary_theta)
            factors = plain / frequencies(s.head_width, s.rotary_theta, s.rotary_scaling)
            attention.rotary_scaling_long_factor = attention.rotary_scaling_short_factor = factors
        _norm(layer.ffn.layer_norm, block.feed_forward_norm)
        _feed_forward(layer.ffn, block.feed_forward)
    _name_tokens(spec, model.tokenizer, s.norm_eps)
    spec.register_vocabulary(vocabulary(model.tokenizer, s.vocab_size))
    return spec


def encoder_decoder_spec(model: EncoderDecoder) -> "TransformerSpec":
    """An encoder-decoder in CTranslate2's terms."""
    from ctranslate2.specs import common_spec, transformer_spec

    s = model.settings
    activations = {
        "relu": common_spec.Activation.RELU,
        "gelu": common_spec.Activation.GELU,
        "gelu-tanh": common_spec.Activation.GELUTanh,
        "silu": common_spec.Activation.SWISH,
    }
    options: dict[str, Any] = dict(
        pre_norm=s.norm == "pre", activation=activations[s.activation], layernorm_embedding=s.embedding_norm
    )
    if s.positions == "rotary":
        options |= dict(rotary_dim=s.width // s.n_heads, rotary_interleave=False, rotary_base=s.rotary_theta)
    encoder: Any = transformer_spec.TransformerEncoderSpec(s.n_layers, s.n_heads, **options)
    decoder: Any = transformer_spec.TransformerDecoderSpec(s.decoder_layers, s.n_heads, **options)
    spec: Any = transformer_spec.TransformerSpec(encoder, decoder)
    source_embedding = model.source_embedding or model.embedding
    encoder.embeddings[0].weight = source_embedding.weight[: s.vocab_size]
    decoder.embeddings.weight = model.embedding.weight[: s.vocab_size]
    decoder.projection.weight = model.matrix
    if model.bias is not None:
        decoder.projection.bias = model.bias
    for side, blocks, positions, embedding_norm, last_norm in (
        (encoder, model.encoder, model.source_positions, model.source_embedding_norm, model.source_norm),
        (decoder, model.decoder, model.positions, model.embedding_norm, model.norm),
    ):
        side.scale_embeddings = s.scaled
        if s.positions != "rotary":
            learned = None if positions is None else positions.weight
            side.position_encodings.encodings = (
                sinusoids(torch.arange(max(s.context, LONGEST))[None], s.width)[0] if learned is None else learned
            )
        if embedding_norm is not None:
            _norm(side.layernorm_embedding, embedding_norm)
        if last_norm is not None:
            _norm(side.layer_norm, last_norm)
        for layer, block in zip(side.layer, blocks, strict=True):
            assert isinstance(block, TransformerBlock)
            _norm(layer.self_attention.layer_norm, block.attention_norm)
            _linear(layer.self_attention.linear[0], block.qkv)
            _linear(layer.self_attention.linear[1], block.out)
            if side is decoder:
                _norm(layer.attention.layer_norm, block.cross_norm)
                _linear(layer.attention.linear[0], block.cross_query)
                _linear(layer.attention.linear[1], block.cross_key_value)
                _linear(layer.attention.linear[2], block.cross_out)
            _norm(layer.ffn.layer_norm, block.feed_forward_norm)
            _feed_forward(layer.ffn, block.feed_forward)
    _name_tokens(spec, model.tokenizer, s.norm_eps)
    tokens = vocabulary(model.tokenizer, s.vocab_size)
    spec.config.decoder_start_token = tokens[model.first]
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    return spec


def vocabulary(tokenizer: Tokenizer, rows: int) -> list[str]:
    """What CTranslate2 calls each token: its spelling in the vocabulary, and "[unused N]" where there is none."""
    tokens = [f"[unused {number}]" for number in range(rows)]
    for token, number in tokenizer.backend.get_vocab(with_added_tokens=True).items():
        if number < rows:
            tokens[number] = token
    return tokens


def _name_tokens(spec: Any, tokenizer: Tokenizer, norm_eps: float) -> None:
    """The end token stands for all three roles: a text begins and ends with it, and nothing is unknown."""
    end = str(tokenizer.backend.id_to_token(tokenizer.end))
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = end
    spec.config.layer_norm_epsilon = norm_eps


def _linear(spec: Any, layer: nn.Module) -> None:
    spec.weight = layer.weight
    if layer.bias is not None:
        spec.bias = layer.bias


def _norm(spec: Any, norm: nn.Module) -> None:
    spec.gamma = norm.weight
    if isinstance(getattr(norm, "bias", None), Tensor):
        spec.beta = norm.bias


def _feed_forward(spec: Any, layer: nn.Module) -> None:
    if not hasattr(layer, "gate_up"):
        _linear(spec.linear_0, layer.up)  # type: ignore[arg-type]
        _linear(spec.linear_1, layer.down)  # type: ignore[arg-type]
        return
    both: Any = layer.gate_up
    for part, of in zip((spec.linear_0, spec.linear_0_noact), range(2), strict=True):
        part.weight = both.weight.chunk(2)[of]
        if both.bias is not None:
            part.bias = both.bias.chunk(2)[of]
    _linear(spec.linear_1, layer.down)  # type: ignore[arg-type]
