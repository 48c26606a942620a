"""Marks outlive restarts, full disks and damaged files."""

import sqlite3
import subprocess
import sys
import threading

import pytest

from inkstone.serving.feedback import APPLICATION, FeedbackError, FeedbackStore
from inkstone.serving.marks import checked


def mark(answer="a", kind="up", other=None, question="Why?"):
    return checked(
        kind, [{"role": "user", "content": question}], answer, other, model="m", settings={"temperature": 0.7}
    )


@pytest.fixture
def store(tmp_path):
    return FeedbackStore(tmp_path / "studio" / "feedback.sqlite")


def test_what_was_kept_is_there_for_the_next_process(store):
    first, second = store.add(mark("墨")), store.add(mark("b", "better", "c"))
    assert (first.id, second.id) == (1, 2) and first.made is not None
    again = FeedbackStore(store.path)
    assert [each.answer for each in again.all()] == ["墨", "b"] and again.all()[1].other == "c"
    assert again.all()[0].settings == {"temperature": 0.7} and again.all()[0].model == "m"
    assert again.counts() == {"up": 1, "down": 0, "better": 1}
    with sqlite3.connect(store.path) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_nothing_is_made_before_the_first_mark(store):
    assert store.latest(10) == [] and store.counts()["up"] == 0 and not store.delete(1)
    with pytest.raises(FeedbackError, match="no marks are there yet"):
        store.all()
    assert not store.path.parent.exists()


def test_people_change_their_minds(store):
    first = store.add(mark("a", "up"))
    assert store.add(mark(" a ", "down")).id == first.id and store.counts() == {"up": 0, "down": 1, "better": 0}
    store.add(mark("a", "better", "b"))
    store.add(mark("b", "better", "a"))
    kept = [each for each in store.all() if each.kind == "better"]
    assert len(kept) == 1 and kept[0].answer == "b"
    store.add(mark("a", "up", question="When?"))
    assert sum(store.counts().values()) == 3


def test_a_mark_can_be_taken_back_and_pages_go_on(store):
    for number in range(5):
        store.add(mark(f"answer {number}"))
    assert store.delete(3) and not store.delete(3)
    newest = store.latest(2)
    assert [each.answer for each in newest] == ["answer 4", "answer 3"]
    assert [each.answer for each in store.latest(9, before=newest[-1].made)] == ["answer 1", "answer 0"]


def test_many_may_mark_at_once(store):
    threads = [threading.Thread(target=lambda n=n: [store.add(mark(f"{n} {m}")) for m in range(5)]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.counts()["up"] == 40


FULL = """
import resource, sys
from inkstone.serving.feedback import FeedbackError, FeedbackStore
from inkstone.serving.marks import checked
store = FeedbackStore(sys.argv[1])
say = lambda answer: checked("up", [{"role": "user", "content": "Why?"}], answer)
store.add(say("before"))
size = store.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20_000, resource.RLIM_INFINITY))
try:
    for number in range(100):
        store.add(say(f"{number} " + "x" * 9_000))
except FeedbackError as error:
    print(number, error.status, error)
kept = len(store.all())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.add(say("after"))
print(kept, len(store.all()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource is not there on Windows")
def test_a_full_disk_is_said_and_every_mark_that_was_taken_stays(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "feedback.sqlite")], capture_output=True, text=True, check=True
    )
    told, counts = ended.stdout.strip().splitlines()
    taken, status, words = told.split(maxsplit=2)
    assert status == "507" and "make room" in words and "Earlier marks" in words
    assert counts == f"{int(taken) + 1} {int(taken) + 2}"


def test_a_table_that_may_not_grow_is_said(store, monkeypatch):
    store.add(mark())
    ready = store._ready

    def small(database):
        ready(database)
        database.execute("PRAGMA max_page_count = 5")

    monkeypatch.setattr(store, "_ready", small)
    with pytest.raises(FeedbackError, match="could not be written") as raised:
        store.add(mark("y" * 50_000))
    assert raised.value.status == 507 and len(store.all()) == 1


def test_a_damaged_file_is_said_and_a_new_one_begins_once_it_is_moved(store):
    store.add(mark())
    with sqlite3.connect(store.path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = bytearray(store.path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    store.path.write_bytes(damaged)
    with pytest.raises(FeedbackError, match=r"is damaged.*move it"):
        store.add(mark("b"))
    assert store.path.read_bytes() == bytes(damaged)
    store.path.write_bytes(b"no database at all" * 99)
    with pytest.raises(FeedbackError, match="is damaged"):
        store.latest(3)
    store.path.rename(store.path.with_suffix(".old"))
    assert store.add(mark("b")).id == 1


def test_what_others_wrote_is_left_alone(store):
    store.path.parent.mkdir()
    with sqlite3.connect(store.path) as database:
        database.execute("CREATE TABLE theirs (x)")
    with pytest.raises(FeedbackError, match="of another program"):
        store.add(mark())
    with sqlite3.connect(store.path) as database:
        database.execute(f"PRAGMA application_id = {APPLICATION}")
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(FeedbackError, match="later version"):
        store.add(mark())


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FeedbackError, match="name another folder"):
        FeedbackStore(tmp_path / "file" / "feedback.sqlite").add(mark())
