"""`decoder.cpp` and its headers as a library of this machine: compiled once by its own C++ compiler, which takes seconds, and kept.

It lies in the user's own cache folder and never in the folder of a model, since it is machine code: opening a model from
elsewhere must run nothing. Its folder is named by the digest of all that it depends on. One that is damaged is as good as none.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from itertools import product
from pathlib import Path

from inkstone.errors import InkstoneError
from inkstone.files import sha256, whole_folder, write_text

CACHE = "INKSTONE_CACHE"
SOURCE = Path(__file__).with_name("decoder.cpp")
LIBRARY, SUM = "decoder.so", "decoder.sha256"
FLAGS = ("-std=c++20", "-O3", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math")
# Each set in turn, as far as the compiler knows it: for this very processor, and on several cores.
PROCESSOR = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ("-mcpu=native",), ())
CORES = (("-fopenmp",), ("-fopenmp-simd",), ())


def folder() -> Path:
    """Where the library is kept: below `INKSTONE_CACHE`, or ~/.cache/inkstone. Raises InkstoneError for a user without a home."""
    try:
        kept = Path(os.environ.get(CACHE) or Path.home() / ".cache" / "inkstone")
    except RuntimeError:
        raise InkstoneError(f"this user has no home to keep compiled code in; name a folder in {CACHE}") from None
    return kept / "compiled" / _key()


def find() -> ctypes.CDLL | None:
    """The library that was compiled before; None where there is none."""
    try:
        return _loaded(folder())
    except InkstoneError:
        return None


def compiler() -> str | None:
    """The C++ compiler that would be used, `CXX` before others; None where there is none."""
    names = filter(None, (os.environ.get("CXX"), "g++", "clang++"))
    return next((found for name in names if (found := shutil.which(name))), None)


def build() -> ctypes.CDLL:
    """The library, compiled now where it was not before. Raises InkstoneError where that cannot be."""
    place = folder()
    if found := _loaded(place):
        return found
    program = compiler()
    if program is None:
        named = f" (there is no {wanted}, which CXX names)" if (wanted := os.environ.get("CXX")) else ""
        raise InkstoneError(
            f"no C++ compiler was found{named}; install g++ (or name one in CXX), or leave out --compile"
        )
    fault = f"what {program} made cannot be loaded here; leave out --compile"
    try:
        with whole_folder(place) as part:
            _compile(program, part / LIBRARY)
            write_text(part / SUM, sha256(part / LIBRARY))
    except OSError as error:
        fault = f"cannot be written ({error}); name another folder in {CACHE}"
    found = _loaded(place)  # by whichever process: one that makes the same beside this one may have been quicker
    if found is None:
        raise InkstoneError(f"{place}: {fault}")
    return found


@cache  # which keeps the process as well: one that is forgotten while it runs is warned of
def build_beside() -> subprocess.Popen | None:
    """Have the library compiled for later by a process of its own, behind all others; None where none can be begun."""
    if compiler() is None:
        return None
    nice = ["nice", "-n", "10"] if shutil.which("nice") else []
    nothing = subprocess.DEVNULL
    # -P: not from the folder that the user happens to be in.
    command = [*nice, sys.executable, "-P", "-m", "inkstone.inference.native.library"]
    try:
        return subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    except OSError:
        return None


def _compile(program: str, to: Path) -> None:
    told = ""
    for processor, cores in product(PROCESSOR, CORES):
        command = [program, *FLAGS, *processor, *cores, str(SOURCE), "-o", str(to)]
        try:
            made = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        except OSError as error:
            raise InkstoneError(f"{program} cannot be run ({error}); name another compiler in CXX") from None
        if made.returncode == 0:
            return
        told = told or next(iter(made.stderr.splitlines()), f"it ended with {made.returncode}")
    raise InkstoneError(f"{program} could not compile {SOURCE.name} ({told}); generation goes on without --compile")


_libraries: dict[Path, ctypes.CDLL] = {}


def _loaded(place: Path) -> ctypes.CDLL | None:
    if place not in _libraries:
        try:
            if (place / SUM).read_text(encoding="utf-8") != sha256(place / LIBRARY):
                return None
            library = ctypes.CDLL(str(place / LIBRARY))
            library.inkstone_decode.restype = ctypes.c_int64
        except (OSError, ValueError, AttributeError):
            return None
        _libraries[place] = library
    return _libraries[place]


@cache
def _key() -> str:
    flags = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        pass
    sources = map(sha256, (SOURCE, *sorted(SOURCE.parent.glob("*.h"))))
    parts = (*sources, sys.platform, platform.machine(), flags, str((FLAGS, PROCESSOR, CORES)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


if __name__ == "__main__":
    build()
