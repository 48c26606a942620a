"""Tiny random Whisper checkpoints that transformers builds and saves, with a tokenizer and what they are told to write."""

from pathlib import Path

import tokenizers
import torch
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from hub.checkpoints import TEXTS

STATES = 50  # of a window: one second
LANGUAGES = ("en", "zh", "de", "es")
SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", *(f"<|{name}|>" for name in LANGUAGES), "<|translate|>", "<|transcribe|>",
    "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip


def whisper_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer whose last tokens are those of Whisper: the special ones, then the times."""
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(TEXTS * 5, trainer)
    backend.add_special_tokens([tokenizers.AddedToken(name, special=True) for name in SPECIAL])
    times = [f"<|{0.02 * step:.2f}|>" for step in range(STATES + 1)]
    backend.add_tokens([tokenizers.AddedToken(name, special=False) for name in times])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )


def whisper_checkpoint(folder: Path, seed: int = 0, **changes) -> WhisperForConditionalGeneration:
    """Write a checkpoint in which every number is random; the model, as transformers has it.

    What it writes depends on the sound: other embeddings, and it would write one token again and again.
    """
    tokenizer = whisper_tokenizer()
    ids = tokenizer.get_vocab()
    end, shape = ids["<|endoftext|>"], dict(encoder_layers=2, decoder_layers=3, d_model=32, num_mel_bins=80)
    config = WhisperConfig(
        **{
            **shape,
            **dict(encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48),
            **dict(vocab_size=len(tokenizer), max_source_positions=STATES, max_target_positions=40),
            **dict(decoder_start_token_id=ids["<|startoftranscript|>"], eos_token_id=end, bos_token_id=end),
            **dict(pad_token_id=end, suppress_tokens=None, begin_suppress_tokens=None),
            **changes,
        }
    )
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "encoder.embed_positions" not in name:
                weight.add_(torch.randn_like(weight) * (0.15 if "embed_tokens" in name else 0.5))
    model.generation_config = GenerationConfig(
        decoder_start_token_id=config.decoder_start_token_id,
        eos_token_id=end,
        bos_token_id=end,
        pad_token_id=end,
        max_length=config.max_target_positions,
        suppress_tokens=[5, 60, ids["<|startoftranscript|>"], ids["<|nospeech|>"], ids["<|startofprev|>"]],
        begin_suppress_tokens=[30, end],
        is_multilingual=True,
        lang_to_id={f"<|{name}|>": ids[f"<|{name}|>"] for name in LANGUAGES},
        task_to_id={"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids["<|startofprev|>"],
        max_initial_timestamp_index=20,
        alignment_heads=[[1, 0], [2, 3], [2, 1]],
        return_timestamps=False,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=STATES // 50).save_pretrained(folder)
    return model
