import json
from itertools import islice

from inkstone.text import python_text
from inkstone.text.python_text import docstrings, documents

SOURCE = b'''
"""What the module is for."""
import os

def pour(ink, *, slowly: bool = True) -> None:
    """Pour it.

        Indented more.
    """
    def inner():
        """Never shown."""

class Stone:
    """A stone."""
    class Groove:
        def fill(self):
            "Fill it."
    async def dry(self): "Dry it."

if os.name:
    def other(): "Under a condition."

def silent(): pass
'''


def test_docstrings_in_the_order_of_the_source():
    assert docstrings(SOURCE) == (
        "What the module is for.\n\n"
        "pour(ink, *, slowly: bool=True)\n    Pour it.\n\n    Indented more.\n\n"
        "Stone\n    A stone.\n\n"
        "Stone.Groove.fill(self)\n    Fill it.\n\n"
        "Stone.dry(self)\n    Dry it.\n\n"
        "other()\n    Under a condition.\n"
    )
    assert docstrings(b"x = 1") == ""
    assert docstrings(b"not python (") == ""


def test_topics_and_modules_in_a_fixed_order():
    found = dict(documents())
    names = list(found)
    topics = [name for name in names if name.startswith("python:topics/")]
    assert topics == sorted(topics) == names[: len(topics)]
    assert names[:100] == [name for name, _ in islice(documents(), 100)]
    assert len(topics) > 50
    assert json.loads.__doc__ is not None
    assert json.loads.__doc__.split("\n")[0] in found["python:json"]
    assert not [name for name in names if ".test" in name or name.startswith(("python:idlelib", "python:turtledemo"))]
    assert all(text.strip() for text in found.values())
    assert sum(map(len, found.values())) > 1_500_000


def test_sources_are_parsed_and_not_imported(tmp_path, monkeypatch):
    (tmp_path / "loud.py").write_text('"""A module."""\nraise SystemExit("imported")\n')
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "left_out.py").write_text('"""Never."""')
    monkeypatch.setattr(python_text.sysconfig, "get_path", lambda name: str(tmp_path))
    assert [pair for pair in documents() if "topics" not in pair[0]] == [("python:loud", "A module.\n")]
