"""Files whose lines a tuned model is asked about."""

import pytest

from inkstone.errors import TextError
from inkstone.tasks.classify import Classify
from inkstone.tasks.predict import inputs_of


def test_the_lines_of_a_text_are_inputs_and_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes("ink\r\n\n\u7802\n".encode())
    assert inputs_of(tmp_path / "a.txt", Classify()) == ["ink", "\u7802"]
    (tmp_path / "b.txt").write_bytes(bytes(range(256)) * 9)
    with pytest.raises(TextError, match=r"b\.txt: a binary file, not text"):
        inputs_of(tmp_path / "b.txt", Classify())
