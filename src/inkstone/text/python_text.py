"""The text that ships with every Python: the language reference and the docstrings of the standard library.

It is what Inkstone learns from when a person gives no text. Sources are parsed, never imported; the outcome depends
only on the version of Python.
"""

import ast
import sysconfig
import textwrap
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

LEFT_OUT = {"test", "tests", "idlelib", "turtledemo", "lib2to3", "ensurepip", "site-packages", "dist-packages"}


def documents() -> Iterator[tuple[str, str]]:
    """(name, text) of each topic of the language reference, then of each module of the standard library, sorted."""
    for topic in sorted(topics):
        yield f"python:topics/{topic}", topics[topic]
    for name, path in _modules(Path(sysconfig.get_path("stdlib"))):
        text = docstrings(path.read_bytes())
        if text:
            yield f"python:{name}", text


def _modules(folder: Path, package: str = "") -> Iterator[tuple[str, Path]]:
    """(dotted name, path) of each module below a folder, in alphabetical order."""
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py":
            yield package.rstrip(".") if path.stem == "__init__" else package + path.stem, path
        elif path.is_dir() and path.name not in LEFT_OUT:
            yield from _modules(path, f"{package}{path.name}.")


def docstrings(source: bytes) -> str:
    """The docstrings of a module in the order of its source, each function's and class's under its own heading.

    >>> print(docstrings(b'"What it is for."\\ndef pour(ink, slowly=True):\\n    "Pour it."'))
    What it is for.
    <BLANKLINE>
    pour(ink, slowly=True)
        Pour it.
    <BLANKLINE>
    """
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError):  # some modules of the library exist to be broken
        return ""
    entries = list(_entries(module, ""))
    return "\n\n".join(entries) + "\n" if entries else ""


def _entries(node: ast.stmt | ast.Module, prefix: str) -> Iterator[str]:
    if isinstance(node, ast.Module):
        if text := ast.get_docstring(node):
            yield text
    elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        heading = prefix + node.name
        prefix = f"{heading}."
        if text := ast.get_docstring(node):
            arguments = "" if isinstance(node, ast.ClassDef) else f"({ast.unparse(node.args)})"
            yield f"{heading}{arguments}\n{textwrap.indent(text, '    ')}"
    if isinstance(node, (ast.Module, ast.ClassDef, ast.If, ast.Try)):
        for child in node.body:
            yield from _entries(child, prefix)
