"""`inkstone doctor`: what this machine has and what Inkstone will use of it."""

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from inkstone.environment import environment, pick_device
from inkstone.inference.native import library
from inkstone.training.machine import measure_machine

OPTIONAL = ("transformers", "huggingface_hub", "gguf", "tensorboard")


def doctor(device: str = "auto") -> dict[str, Any]:
    """Measure products and memory, and list versions. Takes about three seconds."""
    machine = measure_machine(pick_device(device), seconds=0.8)
    facts = machine.to_dict()
    slow = "" if machine.dtype == "bfloat16" else " (this chip has no fast bfloat16)"
    packages: dict[str, str | None] = dict(environment()["packages"])
    for name in OPTIONAL:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        **facts,
        "will_use": f"{machine.dtype}{slow} on {machine.device}, {machine.threads} threads",
        "disk_free_bytes": shutil.disk_usage(".").free,
        "compiler": library.compiler(),
        "compiled": library.find() is not None,
        "data": os.environ.get("INKSTONE_DATA") or None,
        "packages": packages,
        "environment": environment(),
    }
