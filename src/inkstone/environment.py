"""What this process runs on: cores, processor, device, versions. What it can do is measured in `training/machine.py`."""

import os
import platform
from typing import Any

import psutil

from inkstone.errors import RecipeError


def pick_device(wanted: str = "auto") -> str:
    """The device to use: for "auto" a GPU where there is one. Raises RecipeError for one that cannot be used."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(wanted).type not in ("cpu", "cuda"):
            raise RuntimeError("only cpu and cuda are known to this version")
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        first_line = str(error).splitlines()[0].rstrip(".")
        raise RecipeError(f"the device {wanted!r} cannot be used here ({first_line}); try cpu or auto") from None
    return wanted


def available_cores() -> int:
    """The cores that this process may use; all of them on systems that do not say."""
    affinity = getattr(psutil.Process(), "cpu_affinity", None)
    return len(affinity()) if affinity else os.cpu_count() or 1


def usable_threads() -> int:
    """A thread a core that this process may use, or as many as OMP_NUM_THREADS grants where these are fewer."""
    granted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(available_cores(), int(granted)) if granted.isdecimal() and int(granted) else available_cores()


def cpu_name() -> str:
    """The processor's name, as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment() -> dict[str, Any]:
    """Versions and system, for environment.json."""
    from importlib.metadata import version

    import torch

    packages = ("inkstone", "torch", "numpy", "tokenizers", "safetensors", "polars")
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "packages": {name: version(name) for name in packages},
    }
