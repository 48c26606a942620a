"""Fixtures of the tests of evaluation."""

import pytest

from inkstone.run import Run

from .tiny_runs import make_run


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Run:
    return make_run(tmp_path_factory.mktemp("runs") / "tiny")
