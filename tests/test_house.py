"""The rules of the house: who may import whom, where foreign names may stand, how long a file is, how fast it starts."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

import inkstone
from inkstone.layers.normalisation import LayerNorm

SOURCE = Path(inkstone.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
BASE = ("environment", "errors", "files", "progress", "recipe", "run")
FOLDERS = (
    "text", "audio", "tokens", "layers", "models", "vectors", "hub", "inference", "evaluation", "tasks", "training", "studies",
    "explain", "trust", "serving", "cli",
)  # fmt: skip
FOREIGN = ("transformers", "huggingface_hub", "gguf", "ctranslate2", "llama_cpp", "lm_eval")
VAGUE = ("utils", "util", "common", "helpers", "helper", "misc", "tools")
LONGEST_FILE = 500


def module_of(path: Path) -> tuple[str, ...]:
    """The parts of a module's name below inkstone: ("text", "reading")."""
    return path.relative_to(SOURCE).with_suffix("").parts


def imports(path: Path) -> list[tuple[int, str]]:
    """Line and full name of everything that a file imports, inside functions too. Relative imports are resolved."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["inkstone", *module_of(path)][: -node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            found += [(node.lineno, f"{origin}.{alias.name}") for alias in node.names]
    return found


def place(name: str) -> int | None:
    """How far down the house a module of ours lives; None for what stands outside the order."""
    parts = name.split(".")
    if parts[0] != "inkstone" or len(parts) < 2:
        return None
    if parts[1] in BASE:
        return 0
    return 1 + FOLDERS.index(parts[1]) if parts[1] in FOLDERS else None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_folder_imports_only_from_those_above_it(path):
    own = place(".".join(["inkstone", *module_of(path)]))
    if own is None:  # inkstone/__init__.py and __main__.py stand above the order
        return
    wrong = [
        f"{path.relative_to(SOURCE)}:{line} imports {name}"
        for line, name in imports(path)
        if (theirs := place(name)) is not None and theirs > own
    ]
    assert not wrong


def test_every_folder_has_its_place():
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(FOLDERS)
    files = {path.stem for path in SOURCE.glob("*.py")}
    assert files <= {*BASE, "__init__", "__main__"}


def test_foreign_formats_are_named_in_the_hub_alone():
    wrong = [
        f"{path.relative_to(SOURCE)}:{line} imports {name}"
        for path in FILES
        if module_of(path)[0] != "hub"
        for line, name in imports(path)
        if name.split(".")[0] in FOREIGN
    ]
    assert not wrong


def test_no_file_is_long():
    lengths = {path.relative_to(SOURCE): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not {str(path): length for path, length in lengths.items() if length > LONGEST_FILE}


def test_no_name_is_vague():
    assert not [path for path in SOURCE.rglob("*") if path.stem.strip("_") in VAGUE]


def test_public_names_have_a_home():
    for name in inkstone.__all__:
        assert getattr(inkstone, name) is not None


def test_shapes_are_checked_while_testing():
    """conftest.py switches it on; without it the annotations of layers and models would be comments."""
    with pytest.raises(TypeCheckError):
        LayerNorm(4)([1.0, 2.0, 3.0, 4.0])
    LayerNorm(4)(torch.ones(4))


def cpu_seconds_of_help() -> float:
    """User and system time of `inkstone --help` in a process of its own."""
    measured = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'inkstone', '--help'], check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime)\n"
    )
    ended = subprocess.run([sys.executable, "-c", measured], check=True, capture_output=True, text=True)
    return float(ended.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="resource is not there on Windows")
def test_help_takes_less_than_a_third_of_a_second_of_cpu_time():
    """The least of a few: other work on the machine slows a process, nothing makes it faster."""
    assert min(cpu_seconds_of_help() for _ in range(5)) < 0.3


def test_help_needs_no_heavy_import():
    looked = "import sys, inkstone.cli as cli; cli.parser_for(None); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", looked], check=True, capture_output=True, text=True)
    assert not {"torch", "polars", "numpy", "tokenizers", "transformers", "pydantic"} & set(ended.stdout.split())


def test_writing_waits_for_nothing_that_only_training_needs():
    """A person waits for the first token, and most of that wait are imports."""
    looked = "import sys, inkstone.cli.generate_verb, inkstone.inference.generation; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", looked], check=True, capture_output=True, text=True)
    unneeded = {
        "polars",
        "pydantic",
        "rjieba",
        "simplemma",
        "sentencex",
        "transformers",
        "matplotlib",
        "torch._inductor",
    }
    assert not unneeded & set(ended.stdout.split())


@pytest.mark.parametrize("path", sorted((SOURCE / "cli").glob("*_verb.py")), ids=lambda path: path.stem)
def test_a_verb_shows_its_options_without_heavy_imports(path):
    looked = (
        f"import sys, inkstone.cli as cli; cli.parser_for({path.stem.removesuffix('_verb')!r}); print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", looked], check=True, capture_output=True, text=True)
    assert not {"torch", "polars", "transformers"} & set(ended.stdout.split())
