"""The store of marks: one SQLite file, in which every mark that was taken is on the disk.

Each call opens the file anew, so that one that was moved, mended or put back is used from the next call on. Writers wait for each other;
readers do not wait (write-ahead log). A mark on the same answers of the same conversation takes the place of the earlier one: people change their minds.
"""

import hashlib
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inkstone.errors import InkstoneError
from inkstone.progress import human_bytes
from inkstone.serving.marks import KINDS, Mark, mark_in

FILE = "feedback.sqlite"
APPLICATION = 0x496E6B73  # "Inks", in the head of the file
VERSION = 1
WAIT = 10.0  # seconds for another writer
TABLE = """
CREATE TABLE marks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    made REAL NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('up', 'down', 'better')),
    messages TEXT NOT NULL,
    answer TEXT NOT NULL,
    other TEXT,
    model TEXT NOT NULL,
    other_model TEXT NOT NULL,
    settings TEXT NOT NULL,
    of TEXT NOT NULL UNIQUE
)
"""


class FeedbackError(InkstoneError):
    """Marks that cannot be kept or read. `status` is what an HTTP answer says of it."""

    def __init__(self, message: str, status: int = 503):
        super().__init__(message)
        self.status = status


class FeedbackStore:
    """Marks in a file, which is made with the first mark."""

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def add(self, mark: Mark) -> Mark:
        """Keep a mark; as it was kept, with its number and time. Raises FeedbackError where it cannot be written."""
        made = time.time()
        messages = json.dumps([dict(message) for message in mark.messages], ensure_ascii=False)
        settings = json.dumps(dict(mark.settings), ensure_ascii=False)
        values = (
            made,
            mark.kind,
            messages,
            mark.answer,
            mark.other,
            mark.model,
            mark.other_model,
            settings,
            _digest(mark),
        )
        with self._open(writes=True) as database:
            found = database.execute(
                "INSERT INTO marks (made, kind, messages, answer, other, model, other_model, settings, of) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (of) DO UPDATE SET made = excluded.made, kind = excluded.kind, messages = excluded.messages, "
                "answer = excluded.answer, other = excluded.other, model = excluded.model, other_model = excluded.other_model, "
                "settings = excluded.settings "
                "RETURNING *",
                values,
            ).fetchone()
            return mark_in(found)

    def delete(self, number: int) -> bool:
        """Take a mark back; whether it was there."""
        if not self.path.exists():
            return False
        with self._open(writes=True) as database:
            return database.execute("DELETE FROM marks WHERE id = ?", (number,)).rowcount > 0

    def latest(self, most: int, before: float | None = None) -> list[Mark]:
        """The newest marks, the newest first; of those that were made `before` a time, where one is given."""
        if not self.path.exists():
            return []
        with self._open() as database:
            asked = "SELECT * FROM marks WHERE made < ? ORDER BY made DESC, id DESC LIMIT ?"
            return [mark_in(row) for row in database.execute(asked, (before or float("inf"), most))]

    def all(self) -> list[Mark]:
        """All marks, the oldest first. Raises FeedbackError where there is no file."""
        if not self.path.is_file():
            raise FeedbackError(f"{self.path}: no marks are there yet", 404)
        with self._open() as database:
            return [mark_in(row) for row in database.execute("SELECT * FROM marks ORDER BY made, id")]

    def counts(self) -> dict[str, int]:
        """How many marks there are of each kind."""
        found = dict.fromkeys(KINDS, 0)
        if self.path.exists():
            with self._open() as database:
                found |= dict(database.execute("SELECT kind, COUNT(*) FROM marks GROUP BY kind").fetchall())
        return found

    @contextmanager
    def _open(self, writes: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction: all of it is on the disk when the block ends, or none of it."""
        database = None
        try:
            if writes:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            # Transactions are begun here, since the module's own begin late and keep a lock that they read under.
            database = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None, check_same_thread=False)
            database.row_factory = sqlite3.Row
            self._ready(database)
            database.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            yield database
            database.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise self._fault(error) from error
        finally:
            if database is not None:
                database.close()  # what was not committed is undone

    def _ready(self, database: sqlite3.Connection) -> None:
        """Refuse a file of other programs or of later versions; give a new one its table."""
        database.execute("PRAGMA synchronous = FULL")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (application,) = database.execute("PRAGMA application_id").fetchone()
        if application == APPLICATION and version == VERSION:
            return
        if application == APPLICATION and version > VERSION:
            raise FeedbackError(f"{self.path} was written by a later version of Inkstone; bring this one up to date")
        if database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            if database.execute("PRAGMA application_id").fetchone()[0] == APPLICATION:
                return  # another has made it since
            raise FeedbackError(f"{self.path} is a database of another program; name another folder for the studio")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("BEGIN IMMEDIATE")
        if not database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:  # none was faster
            database.execute(TABLE)
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("COMMIT")

    def _fault(self, error: sqlite3.Error | OSError) -> FeedbackError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            home = next(path for path in self.path.resolve().parents if path.exists())
            free = human_bytes(shutil.disk_usage(home).free)
            return FeedbackError(
                f"{self.path}: the mark could not be written ({error}; {free} free there); make room and mark again. "
                "Earlier marks are as they were",
                507,
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return FeedbackError(
                f"{self.path} is damaged ({error}); move it to another place (what can be read of it: sqlite3 FILE .recover), "
                "and the next mark begins a new file"
            )
        if code == sqlite3.SQLITE_BUSY:
            return FeedbackError(f"{self.path} is in use by another program; try again")
        return FeedbackError(
            f"{self.path}: cannot be opened or written ({error}); see who may write there, or name another folder"
        )


def _digest(mark: Mark) -> str:
    """The same for marks on the same answers to the same conversation, whichever was preferred."""
    answers = sorted(answer.strip() for answer in (mark.answer, mark.other) if answer is not None)
    return hashlib.sha256(json.dumps([mark.question, answers]).encode()).hexdigest()
