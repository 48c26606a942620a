"""Servers that several files of tests ask."""

from pathlib import Path

import pytest

from .servers import served, write_decoder


@pytest.fixture(scope="session")
def decoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random decoder with a chat template. Read from it only."""
    return write_decoder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same decoder without a template. Read from it only."""
    return write_decoder(tmp_path_factory.mktemp("models") / "base", template=False)


@pytest.fixture(scope="session")
def server(decoder_folder: Path, base_folder: Path):
    """Both of them served on 127.0.0.1, on a free port."""
    with served([decoder_folder, base_folder]) as running:
        yield running


@pytest.fixture(scope="session")
def client(server):
    """OpenAI's own client of that server."""
    import openai

    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as asking:
        yield asking
