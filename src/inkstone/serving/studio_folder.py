"""The folder of the studio: runs by name, texts that were dropped onto the page, the marks of people.

FOLDER/NAME               a run; there may be others that were trained elsewhere
FOLDER/feedback.sqlite    marks (`feedback.py`)
FOLDER/.studio/texts      texts, each under a name that the studio made, with a note of what it was called; they come in blocks
FOLDER/.studio/jobs       what the studio was asked to train (`job_notes.py`)

A request names runs and texts; it never gives a path. A name is one part of a path, and does not begin with a dot.
"""

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

from inkstone.errors import InkstoneError, TextError
from inkstone.files import write_json, writing_fault
from inkstone.progress import human_bytes
from inkstone.serving.feedback import FILE, FeedbackStore
from inkstone.text import archives, formats

NAME = re.compile(r"(?!\.)[\w.\-]{1,80}")
NUMBER = re.compile(r"[0-9a-f]{16}")  # of texts and jobs
KNOWN = {*formats.EXTENSIONS, "txt", "md", "gz", "bz2", "xz", "zst", "zip", "tar", "tgz", "tbz2", "txz", "tzst"}
LARGEST_TEXT = 2 << 30  # bytes of one text
SPARE = 256 << 20  # bytes of the disk that texts leave free
HEAD = 1 << 16
LONGEST_WAY = 86_400  # seconds that a text may take to come


class StudioError(InkstoneError):
    """What the studio refuses; `status` is what an HTTP answer says of it."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class StoredText:
    """A text that was dropped onto the page; `file` is empty while it is on its way."""

    id: str
    name: str  # what it was called; only ever shown
    bytes: int
    created: float
    file: str  # its name in the folder


class StudioFolder:
    """The folder by its path; it is made when something is first kept in it."""

    def __init__(self, root: Path | str, largest_text: int = LARGEST_TEXT):
        self.root = Path(root).resolve()
        self.largest_text = largest_text
        self.feedback = FeedbackStore(self.root / FILE)

    @classmethod
    def named(cls, root: Path | str) -> "StudioFolder":
        """The folder that a person has named, which may be new, but not by mistake.

        Raises StudioError for what is no folder, one whose parent does not exist, and one that holds other things and nothing of ours.
        """
        folder = cls(root)
        if not folder.root.exists():
            if not folder.root.parent.is_dir():
                raise StudioError(
                    f"studio = {str(root)!r}: there is no folder {folder.root.parent} to make it in; name one of runs, or make that first"
                )
            return folder
        if not folder.root.is_dir():
            raise StudioError(f"studio = {str(root)!r} is a file; name the folder of your runs, or a new one")
        others = sorted(path.name for path in folder.root.iterdir() if not path.name.startswith("."))
        if others and not folder.texts.parent.is_dir() and not folder.feedback.path.exists() and not folder.runs():
            raise StudioError(
                f"studio = {str(root)!r} holds {others[0]!r}{' and other things' * (len(others) > 1)}, but no run, text or mark; "
                "name the folder of your runs, an empty one, or a new one"
            )
        return folder

    @property
    def texts(self) -> Path:
        """Where texts lie."""
        return self.root / ".studio" / "texts"

    @property
    def jobs(self) -> Path:
        """Where notes of trainings lie."""
        return self.root / ".studio" / "jobs"

    def runs(self) -> list[Path]:
        """The folders of runs and models, by name."""
        if not self.root.is_dir():
            return []
        found = (path for path in self.root.iterdir() if NAME.fullmatch(path.name) and path.is_dir())
        return sorted(path for path in found if _holds_run(path))

    def run(self, name: str) -> Path:
        """The run of a name. Raises StudioError where there is none."""
        path = self.root / name
        if not NAME.fullmatch(name) or not _holds_run(path):
            raise StudioError(f"there is no run {name[:100]!r} in the studio's folder", 404)
        return path

    def free(self, wanted: str, promised: Collection[str] = ()) -> Path:
        """The folder of a new run that is called so, as far as a name allows it; numbered where that is taken or promised."""
        plain = re.sub(r"[^\w\-]+", "-", wanted).strip("-_")[:60] or "run"
        names = (plain if number == 1 else f"{plain}-{number}" for number in range(1, 100_000))
        return next(self.root / name for name in names if name not in promised and not (self.root / name).exists())

    def begin_text(self, name: str, size: int) -> str:
        """Begin to keep a text that is called so and has so many bytes; the number under which its blocks are to come.

        Raises StudioError for one that is too large, and where there is no room for it.
        """
        if not 0 < size <= self.largest_text:
            most = human_bytes(self.largest_text)
            reason = f"larger than {most}; train on it by: inkstone train FILE" if size else "empty"
            raise StudioError(f"{_plain(name)} is {reason}", 413 if size else 400)
        noted = StoredText(secrets.token_hex(8), _plain(name), size, round(time.time(), 3), "")
        with self._written(noted.name):
            self.texts.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.texts).free < size + SPARE:
                raise OSError(28, "No space left on device")
            self._part(noted.id).touch(exist_ok=False)
            write_json(self.texts / f"{noted.id}.json", asdict(noted))
        return noted.id

    def take(self, number: str, at: int, block: bytes) -> StoredText | None:
        """The next block of a text, which begins at byte `at`; the text, once it is whole.

        Raises StudioError for a block that does not follow the one before, for what is no text, and where the disk is full.
        """
        noted = _noted(self.texts / f"{number}.json") if NUMBER.fullmatch(number) else None
        if noted is None or noted.file:
            raise StudioError(f"no text {number[:40]!r} is on its way", 404)
        part = self._part(number)
        # Without a buffer: what a full disk has kept out of the file must not be tried again when it is cut or closed.
        with self._written(noted.name), open(part, "r+b", buffering=0) as file:
            there = file.seek(0, 2)
            if at != there or at + len(block) > noted.bytes:
                raise StudioError(
                    f"{there:,} of {noted.bytes:,} bytes of {noted.name} are there, so none can begin at {at:,}", 409
                )
            if at == 0:
                try:
                    refuse_what_is_no_text(noted.name, block[:HEAD])
                except StudioError:
                    self._forget(noted)
                    raise
            try:
                left = memoryview(block)
                while left:
                    left = left[file.write(left) :]
                return self._finished(noted) if there + len(block) == noted.bytes else None
            except OSError:
                file.truncate(there)  # so that the block can be sent again
                raise

    def _finished(self, noted: StoredText) -> StoredText:
        """A text that is whole. Where that cannot be noted, it is still on its way."""
        suffixes = [each.lower() for each in PurePosixPath(noted.name).suffixes[-2:]]
        whole = replace(noted, file=noted.id + "".join(each for each in suffixes if each[1:] in KNOWN))
        os.replace(self._part(noted.id), self.texts / whole.file)
        try:
            write_json(self.texts / f"{noted.id}.json", asdict(whole))
        except OSError:
            os.replace(self.texts / whole.file, self._part(noted.id))
            raise
        return whole

    def list_texts(self) -> list[StoredText]:
        """All texts, the newest first."""
        found = [text for path in self.texts.glob("*.json") if (text := _noted(path))] if self.texts.is_dir() else []
        for text in found:
            if not text.file and time.time() - text.created > LONGEST_WAY:
                self._forget(text)
        return sorted((text for text in found if text.file), key=lambda text: -text.created)

    def text(self, number: str) -> tuple[StoredText, Path]:
        """A text and its file. Raises StudioError where there is none."""
        noted = _noted(self.texts / f"{number}.json") if NUMBER.fullmatch(number) else None
        if noted is None or not noted.file or not (self.texts / noted.file).is_file():
            raise StudioError(f"there is no text {number[:40]!r}", 404)
        return noted, self.texts / noted.file

    def forget_text(self, number: str) -> None:
        """Delete a text. Raises StudioError where there is none."""
        self._forget(self.text(number)[0])

    def _forget(self, noted: StoredText) -> None:
        for path in (
            self._part(noted.id),
            self.texts / noted.file if noted.file else None,
            self.texts / f"{noted.id}.json",
        ):
            if path is not None:
                path.unlink(missing_ok=True)

    def _part(self, number: str) -> Path:
        return self.texts / f".{number}.part"

    @contextmanager
    def _written(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StudioError(
                f"{name} could not be kept ({writing_fault(error)}); make room and try again", 507
            ) from None


def refuse_what_is_no_text(name: str, head: bytes) -> None:
    """Raises StudioError where the first bytes of a file are neither those of a text nor of an archive."""
    packed = any(head.startswith(mark) for mark in (*archives.COMPRESSED, *archives.ZIP_MARKS))
    if packed or head[257:262] == b"ustar":
        return
    try:
        formats.format_of(name, head)
    except TextError as error:
        raise StudioError(f"{name}: {error}") from None


def _plain(name: str) -> str:
    """What a file is called, without its path and without what no name should hold."""
    return re.sub(r"[\x00-\x1f\x7f]", "", PurePosixPath(name.replace("\\", "/")).name)[:200] or "text"


def _noted(path: Path) -> StoredText | None:
    try:
        return StoredText(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _holds_run(path: Path) -> bool:
    return any((path / name).is_file() for name in ("recipe.toml", "config.json"))
