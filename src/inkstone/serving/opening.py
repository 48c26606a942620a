"""From a run folder to a model that is served."""

import contextlib
import re
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from inkstone.errors import InkstoneError
from inkstone.hub.bert_tasks import is_task
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load, read_config
from inkstone.hub.headed_layout import is_headed
from inkstone.hub.whisper import is_whisper
from inkstone.inference.engine import Engine
from inkstone.inference.engine_thread import EngineThread
from inkstone.inference.native import library
from inkstone.inference.prefill import context_of, device_of
from inkstone.inference.quantisation import in_precision
from inkstone.inference.slotted import slotted
from inkstone.models.base import LanguageModel
from inkstone.models.decoder import Decoder
from inkstone.serving.house import Served, ServedLanguage, ServedTask
from inkstone.serving.other_engines import other_engine
from inkstone.serving.settings import OWN_ENGINE, ServingSettings
from inkstone.tasks.predict import Predictor
from inkstone.tokens.chat_template import ChatTemplate

SHARE_OF_MEMORY = 0.3  # of what is free, that the slots of a model may take
FEWEST_TOKENS = 256  # of a slot, however little memory there is


def open_served(run: str | Path, settings: ServingSettings) -> Served:
    """The model of a run, written as RUN or NAME=RUN; without a name it is called as its folder is.

    Raises RunError for what is no model, CheckpointError for one that is damaged.
    """
    name, place = named(run)
    folder = local_folder(place)
    config = read_config(folder)
    if is_task(config) or is_whisper(config) or is_headed(config):
        predictor = Predictor.load(folder, settings.device)
        hold(getattr(predictor, "listener", None) or predictor.model)
        return ServedTask(name, folder, predictor, settings.longest_queue)
    model = in_precision(load(folder, device=settings.device), settings.precision)
    hold(model)
    template = ChatTemplate.of(folder, model.tokenizer)
    capacity = capacity_for(model, settings)
    if settings.engine != OWN_ENGINE:
        other = other_engine(model, folder, template, settings, capacity)
        return ServedLanguage(name, folder, model, template, other)
    if isinstance(model, Decoder):
        with contextlib.suppress(InkstoneError):  # a server lives long: what takes seconds, once, is waited for
            library.build()
    rows = slotted(model, settings.slots, capacity, compiled=settings.compile or None)
    engine = Engine(rows, longest_queue=settings.longest_queue)
    return ServedLanguage(name, folder, model, template, EngineThread(engine))


def named(run: str | Path) -> tuple[str, str | Path]:
    """The name and the place of a run, written as NAME=RUN or as RUN alone, which is then called as its folder is.

    >>> named("ink=runs/mine"), named("runs/my mine")
    (('ink', 'runs/mine'), ('my-mine', 'runs/my mine'))
    """
    given = re.fullmatch(r"([\w.\-]+)=(.+)", str(run))
    if given:
        return given[1], given[2]
    return re.sub(r"[^\w.\-]+", "-", Path(run).resolve().name) or "model", run


def capacity_for(model: LanguageModel, settings: ServingSettings) -> int:
    """Tokens that each slot of a model is to hold: its context, as far as the settings allow and there is memory for it."""
    most = settings.most_prompt_tokens + settings.most_new_tokens
    most = min(most, context_of(model) or most)
    a_token = _bytes_a_token(model)
    if not a_token:
        return most
    device = device_of(model)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return min(most, max(FEWEST_TOKENS, int(SHARE_OF_MEMORY * free) // (a_token * settings.slots)))


def hold(model: Any) -> None:
    """Take the weights into memory: those that stay mapped from a file would end the process if the file is cut short."""
    if isinstance(model, nn.Module):
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()


def _bytes_a_token(model: LanguageModel) -> int:
    """Of the keys and values that a decoder keeps; 0 of a model whose state does not grow."""
    s = getattr(model, "settings", None)
    if not all(hasattr(s, name) for name in ("n_layers", "n_kv_heads", "head_width")):
        return 0
    size = next(model.parameters()).element_size() if isinstance(model, nn.Module) else 4
    return 2 * s.n_layers * s.n_kv_heads * s.head_width * size  # type: ignore[union-attr]
