"""The step of `step_graph.py`, compiled once for a shape and a processor, kept as an artefact, and bound to the weights of a model.

An artefact holds code and no weights: two packages of AOTInductor, of a few blocks at a time and of the output. So it serves
every model of the shape, and the same is found again after training anew. It lies in the user's own cache folder and never in
the folder of a model, since it is machine code: opening a model from elsewhere must run nothing. Its name is the digest of all
that it depends on: shape, kinds of the weights, threads, PyTorch, this code, the processor.

Compiling takes from half a minute to some minutes, and a C++ compiler, so that it is done on request or beside other work.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from inkstone.environment import usable_threads
from inkstone.errors import InkstoneError
from inkstone.files import sha256, whole_folder, write_json
from inkstone.inference.step_graph import Blocks, Head, Kinds
from inkstone.models.decoder import DecoderSettings

MOST_BLOCKS = 4  # compiled together: more make calls fewer, and the compilation longer
CACHE = "INKSTONE_CACHE"
SUMS = "sums.json"
PARTS = ("blocks.pt2", "head.pt2")


@dataclass(frozen=True)
class StepPlan:
    """All that the code of a step depends on, the machine apart."""

    settings: DecoderSettings  # of the shape alone
    kinds: Kinds
    head: str
    single: bool  # one row, or any number above
    blocks: int  # of one call
    cache: str  # type of keys and values
    threads: int

    @classmethod
    def of(cls, settings: DecoderSettings, kinds: Kinds, head: str, single: bool, cache: torch.dtype) -> "StepPlan":
        """The plan for a model, with what does not matter to the code left out."""
        blocks = next(n for n in range(min(MOST_BLOCKS, settings.n_layers), 0, -1) if settings.n_layers % n == 0)
        shape = {"n_layers": blocks, "context": 1, "rotary_theta": 1.0, "rotary_scaling": None, "dropout": 0.0}
        dtype = str(cache).removeprefix("torch.")
        return cls(replace(settings, **shape, tied=True), kinds, head, single, blocks, dtype, torch.get_num_threads())

    @classmethod
    def from_json(cls, text: str) -> "StepPlan":
        """What `to_json` wrote."""
        values = json.loads(text)
        settings, kinds = DecoderSettings(**values.pop("settings")), Kinds(**values.pop("kinds"))
        return cls(settings=settings, kinds=kinds, **values)

    def to_json(self) -> str:
        """As words of a command."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def key(self) -> str:
        """The name of the artefact."""
        return hashlib.sha256("\n".join((self.to_json(), *_surroundings())).encode()).hexdigest()[:32]


class StepRunner:
    """An artefact in memory. Its functions take tensors as the graph's arguments are flattened, and check nothing."""

    def __init__(self, folder: Path):
        # The Python around it would import the compiler, which takes seconds.
        loader = torch._C._aoti.AOTIModelPackageLoader  # type: ignore[attr-defined]
        self.blocks, self.head = (loader(str(folder / part), "model", False, 1, -1).run for part in PARTS)


def artefacts() -> Path:
    """Where artefacts are kept: `compiled` in `INKSTONE_CACHE`, or in ~/.cache/inkstone."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "inkstone") / "compiled"


def find(plan: StepPlan) -> StepRunner | None:
    """The step that was compiled before; None where there is none, or a damaged one, which is as good as none."""
    folder = artefacts() / plan.key
    try:
        sums = json.loads((folder / SUMS).read_text(encoding="utf-8"))
        if any(sums.get(part) != sha256(folder / part) for part in PARTS):
            return None
        return StepRunner(folder)
    except (OSError, ValueError, RuntimeError):
        return None


def compiler() -> str | None:
    """The C++ compiler that would be used; None where there is none."""
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    return shutil.which(os.environ.get("CXX") or usual)


def build(plan: StepPlan) -> Path:
    """Compile a step in this process, and keep it; the folder that was written, whole or not at all.

    Raises InkstoneError where there is no compiler, or it fails.
    """
    if compiler() is None:
        raise InkstoneError("no C++ compiler was found; install g++ (or name one in CXX), or leave out --compile")
    from inkstone.inference.onednn_products import teach_compiler

    teach_compiler()
    torch.set_num_threads(plan.threads)
    try:
        with whole_folder(artefacts() / plan.key) as part:
            _package(Blocks(plan.settings, plan.kinds, plan.single), *block_arguments(plan), part / PARTS[0])
            _package(Head(plan.settings, plan.head), *head_arguments(plan), part / PARTS[1])
            write_json(part / SUMS, {name: sha256(part / name) for name in PARTS})
    except OSError as error:
        raise InkstoneError(f"{artefacts()}: cannot be written ({error}); name a folder in {CACHE}") from None
    except RuntimeError as error:  # of the compiler
        reason = str(error).strip().splitlines()[0]
        raise InkstoneError(
            f"the step could not be compiled ({reason}); generation goes on without --compile"
        ) from error
    return artefacts() / plan.key


def build_apart(plan: StepPlan) -> subprocess.Popen:
    """Compile a step in a process of its own, after all others in its claim on the processor."""
    command = [sys.executable, "-m", "inkstone.inference.compiled_step", plan.to_json()]
    nice = ["nice", "-n", "10"] if shutil.which("nice") else []
    nothing = subprocess.DEVNULL
    return subprocess.Popen([*nice, *command], stdin=nothing, stdout=nothing, stderr=nothing)


def _package(graph: torch.nn.Module, arguments: tuple, shapes: tuple, path: Path) -> None:
    import warnings

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(graph, arguments, dynamic_shapes=shapes, strict=False)
        torch._inductor.aoti_compile_and_package(program, package_path=str(path))


def block_arguments(plan: StepPlan) -> tuple[tuple, tuple]:
    """Arguments of the right shapes, and which sizes may be others."""
    from torch.export import Dim

    s, b = plan.settings, 1 if plan.single else 3
    rows = {} if plan.single else {0: Dim("rows", min=2, max=1 << 16)}
    slots, capacity, seen = (Dim(name, min=2, max=1 << 30) for name in ("slots", "capacity", "seen"))
    cache = torch.zeros(5, s.n_kv_heads, 64, s.head_width, dtype=getattr(torch, plan.cache))
    caches = [cache.clone() for _ in range(plan.blocks)]
    weights = [_example_block(plan) for _ in range(plan.blocks)]
    arguments = (
        torch.zeros(b, s.width),
        torch.arange(b),
        torch.full((b,), 8),
        torch.arange(8),
        torch.zeros(s.head_width // 2),
        caches,
        [cache.clone() for cache in caches],
        weights,
    )
    of_caches = [{0: slots, 2: capacity} for _ in caches]
    return arguments, (rows, rows, rows, {0: seen}, {}, of_caches, of_caches, _fixed(weights))


def head_arguments(plan: StepPlan) -> tuple[tuple, tuple]:
    """As `block_arguments`, of the output."""
    from torch.export import Dim

    s, b = plan.settings, 1 if plan.single else 3
    rows = {} if plan.single else {0: Dim("rows", min=2, max=1 << 16)}
    arguments = (torch.zeros(b, s.width), _example_norm(s), _example(plan.head, s.vocab_size, s.width))
    return arguments, (rows, *_fixed(arguments[1:]))


def _example_block(plan: StepPlan) -> dict[str, Any]:
    s, kinds = plan.settings, plan.kinds
    gpt2 = s.layout == "gpt2"
    across, heads = s.n_heads * s.head_width, (s.n_heads + 2 * s.n_kv_heads) * s.head_width
    up = s.hidden if gpt2 else 2 * s.hidden
    block: dict[str, Any] = {
        "attention_norm": _example_norm(s),
        "qkv": _example(kinds.qkv, heads, s.width),
        "out": _example(kinds.out, s.width, across),
        "norm": _example_norm(s),
        "up": _example(kinds.up, up, s.width),
        "down": _example(kinds.down, s.width, s.hidden),
    }
    if s.layout == "qwen3":
        block |= {"query_norm": torch.ones(s.head_width), "key_norm": torch.ones(s.head_width)}
    if gpt2 or s.attention_bias:
        block |= {"qkv_bias": torch.zeros(heads), "out_bias": torch.zeros(s.width)}
    if gpt2 or s.hidden_bias:
        block |= {"up_bias": torch.zeros(up), "down_bias": torch.zeros(s.width)}
    return block


def _example_norm(s: DecoderSettings) -> tuple[Tensor, ...]:
    return (torch.ones(s.width), torch.zeros(s.width)) if s.layout == "gpt2" else (torch.ones(s.width),)


def _example(kind: str, n: int, k: int) -> tuple[Tensor, ...]:
    """Tensors that stand for a matrix of a kind; of one that oneDNN has packed, what says its shape and type."""
    from inkstone.layers.quantised_matrix import QuantisedMatrix

    if kind == "onednn-int8":
        scale = torch.ones(n), torch.zeros(n, dtype=torch.int64)
        return (torch.zeros(k, n, dtype=torch.int8), *scale, torch.tensor(1.0), torch.tensor(0))
    if kind in ("int8", "int4"):
        matrix = QuantisedMatrix(n, k, int(kind[3]))
        return (
            (matrix.numbers, matrix.scale) if matrix.offset is None else (matrix.numbers, matrix.scale, matrix.offset)
        )
    dtype = torch.bfloat16 if kind.endswith("bfloat16") else torch.float32
    return (torch.zeros(n, k, dtype=dtype),)


def _fixed(tree: Any) -> Any:
    return tree_map(lambda tensor: {}, tree)


@cache
def _surroundings() -> tuple[str, ...]:
    """What the code depends on beside its plan: PyTorch, this code, the processor."""
    here = Path(__file__).parent
    code = [sha256(here / name) for name in ("step_graph.py", "onednn_products.py", "compiled_step.py")]
    flags = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        pass
    return (torch.__version__, torch.backends.cpu.get_cpu_capability(), sys.platform, flags, *code)


if __name__ == "__main__":
    torch.set_num_threads(usable_threads())
    build(StepPlan.from_json(sys.argv[1]))
