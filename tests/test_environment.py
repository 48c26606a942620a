"""How many threads are used: as many as there are cores, or fewer where the person says so."""

import pytest

from inkstone import environment


@pytest.mark.parametrize(
    ("said", "threads"), [(None, 8), ("3", 3), ("3,2", 3), (" 1 ", 1), ("64", 8), ("0", 8), ("", 8), ("many", 8)]
)
def test_threads_are_those_of_the_cores_or_fewer_where_that_is_said(monkeypatch, said, threads):
    monkeypatch.setattr(environment, "available_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert environment.usable_threads() == threads
