"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline is a timing assertion, and the machines of CI are shared.
settings.register_profile("inkstone", deadline=None)
settings.load_profile("inkstone")


@pytest.fixture
def data_mirror() -> Path:
    """The local mirror of public data sets, or a skip that names what is missing."""
    folder = os.environ.get("INKSTONE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("INKSTONE_DATA does not name a mirror of the public data sets")
    return Path(folder)
