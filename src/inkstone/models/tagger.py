"""What every tagger promises, and how one is opened: words in, a tag for each word out."""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from inkstone.errors import CheckpointError, RunError

TAGGERS = {
    "inkstone-crf-tagger": ("inkstone.models.crf_tagger", "CRFTagger"),
    "inkstone-hmm-tagger": ("inkstone.models.hmm_tagger", "HMMTagger"),
}


@runtime_checkable
class Tagger(Protocol):
    """A model that gives every word of a sentence one of its tags."""

    tags: list[str]

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The best tags of the words of each sentence."""
        ...

    def save(self, folder: Path | str) -> None:
        """Write the tagger into a folder, whole or not at all."""
        ...


def tag(model: Tagger, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
    """The tags of the words of each sentence, by any tagger."""
    return model.tag(sentences)


def load_tagger(folder: Path | str) -> Tagger:
    """The tagger that was saved in a folder, of whichever kind.

    Raises RunError for a folder without a tagger, CheckpointError for one that is damaged.
    """
    path = Path(folder) / "config.json"
    kind = read_object(path).get("model_type")
    if kind not in TAGGERS:
        raise RunError(f"{path}: model_type is {kind!r}, but a tagger is one of {', '.join(TAGGERS)}")
    module, model = TAGGERS[kind]
    return getattr(importlib.import_module(module), model).load(folder)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of a tagger's folder. Raises RunError where there is no such file, CheckpointError where it is damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.parent} has no {path.name}; name a folder that a tagger was saved to") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: a {type(value).__name__} where an object must stand")
    return value
