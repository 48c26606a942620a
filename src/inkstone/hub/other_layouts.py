"""Checkpoints of other kinds of Transformer than the decoder: BERT, RoBERTa, BART, Marian, Whisper."""

from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from inkstone.errors import CheckpointError
from inkstone.hub import bart_marian, bert, bert_tasks, whisper
from inkstone.hub.huggingface_weights import weight_files
from inkstone.models.encoder import Encoder
from inkstone.models.encoder_decoder import EncoderDecoder
from inkstone.models.whisper import Whisper
from inkstone.tokens.tokenizer import Tokenizer

ADAPTERS: dict[str, tuple[Any, ModuleType]] = {
    "bert": (Encoder, bert),
    "roberta": (Encoder, bert),
    "bart": (EncoderDecoder, bart_marian),
    "marian": (EncoderDecoder, bart_marian),
    "whisper": (Whisper, whisper),
}


def load_other(
    config: dict[str, Any], folder: Path, tokenizer: Tokenizer, device: torch.device, dtype: torch.dtype | str | None
) -> nn.Module:
    """The model of a checkpoint folder whose config.json names one of `ADAPTERS`; a `Headed` of a BERT with another head.

    Raises RunError for what its configuration asks for and ours does not do, CheckpointError for damaged weights.
    """
    kind, adapter = ADAPTERS[config["model_type"]]
    place = folder / "config.json"
    model: nn.Module = kind(adapter.settings_from(config, place), tokenizer)
    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            tensors |= load_file(path)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: damaged ({error}); copy it anew") from None
    model.load_state_dict(adapter.from_foreign(config, dict(model.named_parameters()), tensors, place))
    if adapter is bert and bert.kinds(config, place)[1] is not None:
        model = bert_tasks.with_head(model, config, tensors, place)  # type: ignore[arg-type]
    if dtype != "stored":
        model = model.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype or torch.float32)
    return model.to(device).eval()
