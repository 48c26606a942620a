"""What a model can be trained to do: each task says what an example is and what the loss is."""

import importlib
from typing import Any

from inkstone.errors import RecipeError, nearest

# What `inkstone tune` takes; language modelling, what `inkstone train` does, is a file of its own.
TASKS = {
    "classify": ("inkstone.tasks.classify", "Classify"),
    "answer": ("inkstone.tasks.answer", "ExtractAnswer"),
    "embed": ("inkstone.tasks.embed", "Embed"),
    "tag": ("inkstone.tasks.tag", "Tag"),
    "roles": ("inkstone.tasks.roles", "Roles"),
    "summarize": ("inkstone.tasks.summarize", "Summarize"),
    "transcribe": ("inkstone.tasks.transcribe", "Transcribe"),
    "translate": ("inkstone.tasks.translate", "Translate"),
    "extract": ("inkstone.tasks.extract", "Extract"),
    "chat": ("inkstone.tasks.chat", "Chat"),
    "prefer": ("inkstone.tasks.prefer", "Prefer"),
}


def task_class(name: str) -> Any:
    """The class of a task (`base.Task`). Raises RecipeError for a name that is none."""
    if name not in TASKS:
        raise RecipeError(f"there is no task {name!r}; {nearest(name, TASKS)}")
    module, task = TASKS[name]
    return getattr(importlib.import_module(module), task)
