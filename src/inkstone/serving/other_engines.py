"""Engines of others for a model that is served, by their names."""

from pathlib import Path
from typing import Any

import torch

from inkstone.hub.foreign_engine import ForeignEngine
from inkstone.inference.other_engine import OtherEngine
from inkstone.models.base import LanguageModel
from inkstone.models.decoder import Decoder
from inkstone.serving.settings import OWN_ENGINE, ServingError, ServingSettings
from inkstone.tokens.chat_template import ChatTemplate


def other_engine(
    model: LanguageModel, folder: Path, template: ChatTemplate | None, settings: ServingSettings, capacity: int
) -> OtherEngine:
    """The engine that the settings name, with this model in it.

    Raises ServingError for a model that is no decoder, and what the engine says where it cannot run it or is not installed.
    """
    name = settings.engine
    if not isinstance(model, Decoder):
        raise ServingError(f"{folder}: the engine {name} runs decoders; serve this one with --engine {OWN_ENGINE}")
    threads = torch.get_num_threads()
    shape: dict[str, Any] = {"slots": settings.slots, "capacity": min(capacity, model.settings.context)}
    dtype = settings.engine_dtype
    engine: ForeignEngine
    if name == "llama.cpp":
        from inkstone.hub.llama_cpp import LlamaCpp

        engine = LlamaCpp(model, dtype=dtype or "float32", threads=threads, template=template, **shape)
    elif name == "ctranslate2":
        from inkstone.hub.ctranslate2_engine import CTranslate2

        engine = CTranslate2(model, dtype=dtype or "float32", threads=threads, **shape)
    else:
        from inkstone.hub.vllm_server import VllmServer

        engine = VllmServer(folder, model.tokenizer, dtype=dtype or "auto", **shape)  # a decoder's folder is one for it
    return OtherEngine(engine, model.tokenizer, longest_queue=settings.longest_queue)
