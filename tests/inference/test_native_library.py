"""The compiled code: found again, made anew where it is damaged, done without where it cannot be made."""

import errno
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from inkstone.errors import InkstoneError
from inkstone.files import whole_folder
from inkstone.inference.fast_decoder import for_generation
from inkstone.inference.generation import generate
from inkstone.inference.native import library
from inkstone.inference.native.decoder import NativeDecoder
from inkstone.inference.single_token import SingleToken
from inkstone.models.quantised_decoder import quantised

from .decoders import decoder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(library.CACHE, str(tmp_path / "cache"))
    library.build_beside.cache_clear()


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)


def test_without_a_compiler_it_says_so_and_generation_goes_on(no_compiler):
    assert library.compiler() is None
    with pytest.raises(InkstoneError, match=r"install g\+\+"):
        for_generation(decoder(), 1, compiled=True)
    for model in (decoder(), quantised(decoder(), 8), quantised(decoder(), 4)):
        assert isinstance(for_generation(model, 8), SingleToken)
        assert generate(model, "Ink", max_tokens=3, temperature=0)[0].ids
    assert not library.folder().exists()


def test_a_compiler_that_is_named_and_not_there_is_told(no_compiler, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-g++")
    with pytest.raises(
        InkstoneError, match=r"no C\+\+ compiler was found \(there is no no-such-g\+\+, which CXX names\)"
    ):
        library.build()


def test_what_a_decoder_is_too_strange_for_is_told():
    with pytest.raises(InkstoneError, match="leave out compiled"):
        for_generation(decoder().double(), 1, compiled=True)


def test_a_place_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(library.CACHE, str(tmp_path / "file"))
    monkeypatch.setattr(library, "compiler", lambda: sys.executable)
    with pytest.raises(InkstoneError, match=library.CACHE):
        library.build()


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing(monkeypatch, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no luck today >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(InkstoneError, match="no luck today"):
        library.build()
    assert not library.folder().exists() and not list(library.folder().parent.glob(".*"))


def test_a_compiler_that_cannot_be_run_is_named(monkeypatch, tmp_path):
    empty = tmp_path / "empty"
    empty.write_text("")
    empty.chmod(0o755)
    monkeypatch.setenv("CXX", str(empty))
    with pytest.raises(InkstoneError, match=r"empty cannot be run"):
        library.build()


def test_a_user_without_a_home_goes_on_without(monkeypatch):
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(library.CACHE)
    monkeypatch.setattr(Path, "home", home)
    assert library.find() is None
    with pytest.raises(InkstoneError, match=library.CACHE):
        library.build()


@pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler here")
def test_one_that_is_outrun_by_another_takes_what_that_has_made(monkeypatch, tmp_path):
    place = library.folder()  # named by the source before it is another

    @contextmanager
    def outrun(path):
        with whole_folder(path) as part:
            yield part
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    source = tmp_path / "small.cpp"
    source.write_text('extern "C" long inkstone_decode() { return 0; }')
    monkeypatch.setattr(library, "SOURCE", source)
    monkeypatch.setattr(library, "whole_folder", outrun)
    assert library.build() is library.find() is not None
    assert library.folder() == place


def test_the_process_beside_runs_nothing_of_the_folder_that_one_is_in(monkeypatch, tmp_path):
    broken, ran = tmp_path / "broken", tmp_path / "ran"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    (tmp_path / "inkstone.py").write_text(f"open({str(ran)!r}, 'w')\n")
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.chdir(tmp_path)
    process = library.build_beside()
    assert process is not None and process.wait(300) != 0
    assert not ran.exists()


@pytest.mark.slow
@pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler here")
def test_it_is_made_once_beside_other_work_and_anew_where_it_is_damaged(tmp_path):
    command = [sys.executable, "-m", "inkstone.inference.native.library"]
    assert library.find() is None
    subprocess.run(command, check=True)
    made = library.folder() / library.LIBRARY
    first = made.stat().st_mtime_ns
    subprocess.run(command, check=True)
    assert made.stat().st_mtime_ns == first
    os.truncate(made, made.stat().st_size // 2)
    assert library.find() is None
    subprocess.run(command, check=True)
    assert isinstance(for_generation(decoder(), 1), NativeDecoder)
    assert {path.name for path in library.folder().iterdir()} == {library.LIBRARY, library.SUM}
