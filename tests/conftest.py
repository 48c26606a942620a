"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Shapes and types in the signatures of the mathematics are checked at every call; this must precede their import.
install_import_hook(["inkstone.layers", "inkstone.models"], "beartype.beartype")

# A deadline is a timing assertion, and the machines of CI are shared.
settings.register_profile("inkstone", deadline=None)
settings.load_profile("inkstone")


@pytest.fixture(scope="session", autouse=True)
def compiled_code(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Decoders write by compiled code, as they do for users, wherever there is a compiler; it is kept between runs of the tests."""
    from inkstone.inference.native import library

    kept = getattr(request.config, "cache", None)  # none where the plugin is switched off
    os.environ[library.CACHE] = str(kept.mkdir("inkstone") if kept else tmp_path_factory.mktemp("cache"))
    if library.compiler() is not None:
        library.build()


@pytest.fixture
def data_mirror() -> Path:
    """The local mirror of public data sets, or a skip that names what is missing."""
    folder = os.environ.get("INKSTONE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("INKSTONE_DATA does not name a mirror of the public data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of twenty steps over 40 kB of made-up text. Read from it only; copy it to change it."""
    from training.small_runs import prose, small_train

    folder = tmp_path_factory.mktemp("tiny")
    text = folder / "text.txt"
    text.write_text(prose(40_000), encoding="utf-8")
    small_train(text, folder / "run")
    return folder / "run"
