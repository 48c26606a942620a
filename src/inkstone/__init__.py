"""Inkstone (砚): your own text in, a language model that you own out.

Every verb of the command line is a function here, with the same name and the same arguments.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES: dict[str, str] = {
    "train": "inkstone.training.pretraining",
    "tune": "inkstone.studies.repeat",
    "search_settings": "inkstone.studies.search_settings",
    "predict": "inkstone.tasks.predict",
    "search": "inkstone.tasks.search",
    "generate": "inkstone.inference.generation",
    "chat": "inkstone.inference.conversation",
    "serve": "inkstone.serving.serve",
    "adapt": "inkstone.serving.learning_from_marks",
    "eval": "inkstone.tasks.scoring",
    "continuation_scores": "inkstone.evaluation.continuations",
    "eval_suites": "inkstone.evaluation.suites",  # the verb `eval` with --suite
    "report": "inkstone.evaluation.report",
    "compare": "inkstone.studies.compare",
    "clean": "inkstone.text.clean",
    "stats": "inkstone.evaluation.text_statistics",
    "align": "inkstone.tasks.word_alignment",
    "learn_vectors": "inkstone.vectors.learning",  # the verb `vectors`, which is a folder in Python
    "load": "inkstone.hub.folder",
    "export": "inkstone.hub.export",
    "quantise": "inkstone.evaluation.quantise",
    "import_model": "inkstone.hub.import_model",  # the verb `import`, a reserved word in Python
    "demo": "inkstone.studies.demo",
    "doctor": "inkstone.training.doctor",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use, so that `import inkstone` costs nothing."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'inkstone' has no attribute {name!r}")
