"""The folder of a language model that converses: that of any, with its chat template, the ends of its answers, and its task."""

from pathlib import Path
from typing import Any

from inkstone.files import write_json
from inkstone.hub.folder import save
from inkstone.hub.headed_layout import TASK
from inkstone.models.decoder import Decoder
from inkstone.tokens.chat_template import ChatTemplate


def save_conversing(model: Decoder, folder: Path, template: ChatTemplate, task: dict[str, Any]) -> None:
    """Write the model, its template, and what the task needs; config.json, which makes the folder a model, as the last."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / TASK, task)
    save(model, folder, template)
