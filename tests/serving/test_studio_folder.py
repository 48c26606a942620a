"""Names, never paths; texts that come in blocks."""

import gzip
import shutil
import signal

import pytest

from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.serving import studio_folder
from inkstone.serving.studio_folder import StudioError, StudioFolder


@pytest.fixture
def folder(tmp_path):
    return StudioFolder(tmp_path / "runs")


def sent(folder, name, content, size=7):
    number = folder.begin_text(name, len(content))
    for at in range(0, len(content), size):
        whole = folder.take(number, at, content[at : at + size])
    return whole


def test_runs_are_found_by_name_and_by_nothing_else(folder, tmp_path):
    Run.create(folder.root / "mine", Recipe())
    Run.create(tmp_path / "elsewhere", Recipe())
    (folder.root / "no run").mkdir()
    Run.create(folder.root / ".hidden", Recipe())
    assert [path.name for path in folder.runs()] == ["mine"] and folder.run("mine") == folder.root / "mine"
    for name in (
        "../elsewhere",
        "..",
        ".",
        "",
        "/etc",
        ".hidden",
        "mine/../mine",
        "mine\\x",
        "no run",
        "mine\n",
        str(tmp_path / "elsewhere"),
    ):
        with pytest.raises(StudioError, match="there is no run") as raised:
            folder.run(name)
        assert raised.value.status == 404


def test_a_folder_that_is_named_is_ours_or_new_on_purpose(tmp_path):
    for wrong, words in (
        (tmp_path / "no" / "runs", "no folder .*no to make it in"),
        (tmp_path / "letters", "holds 'a.txt' and other things, but no run"),
        (tmp_path / "letters" / "a.txt", "is a file"),
    ):
        (tmp_path / "letters").mkdir(exist_ok=True)
        for name in ("a.txt", "b.txt"):
            (tmp_path / "letters" / name).write_text("ink", encoding="utf-8")
        with pytest.raises(StudioError, match=words):
            StudioFolder.named(wrong)
    assert not StudioFolder.named(tmp_path / "new").root.exists()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden").touch()
    StudioFolder.named(tmp_path / "empty")
    Run.create(tmp_path / "letters" / "mine", Recipe())
    StudioFolder.named(tmp_path / "letters")
    kept = StudioFolder(tmp_path / "kept")
    sent(kept, "a.txt", b"ink on stone")
    (kept.root / "notes.txt").touch()
    StudioFolder.named(kept.root)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("../../x", "x"), ("红楼梦", "红楼梦"), ("..", "run"), ("", "run"), ("a b/c", "a-b-c"), (".a", "a")],
)
def test_new_runs_stand_in_the_folder_whatever_they_are_to_be_called(folder, wanted, name):
    assert folder.free(wanted) == folder.root / name
    (folder.root / name).mkdir(parents=True)
    assert folder.free(wanted) == folder.root / f"{name}-2"
    assert folder.free("x" * 999).name == "x" * 60


def test_a_text_comes_in_blocks(folder):
    content = "墨落在纸上。\n".encode() * 9
    whole = sent(folder, "C:\\texts\\../我的\x00 text.txt", content)
    assert whole.name == "我的 text.txt" and whole.bytes == len(content) and whole.file == f"{whole.id}.txt"
    noted, path = folder.text(whole.id)
    assert noted == whole and path.read_bytes() == content and path.parent == folder.texts
    assert folder.list_texts() == [whole]
    folder.forget_text(whole.id)
    assert folder.list_texts() == [] and not list(folder.texts.iterdir())
    with pytest.raises(StudioError, match="there is no text"):
        folder.text(whole.id)


@pytest.mark.parametrize(
    ("name", "ending"), [("a.tar.gz", ".tar.gz"), ("a.jsonl", ".jsonl"), ("a.sh", ""), ("../.bashrc", "")]
)
def test_only_endings_that_say_what_a_text_is_are_kept(folder, name, ending):
    content = gzip.compress(b"ink " * 99) if name.endswith("gz") else b'{"text": "ink"}\n'
    whole = sent(folder, name, content, size=999)
    assert whole.file == whole.id + ending


def test_blocks_must_follow_each_other(folder):
    number = folder.begin_text("a.txt", 10)
    assert folder.take(number, 0, b"12345") is None
    for at, block in ((0, b"12345"), (6, b"7"), (5, b"678901")):
        with pytest.raises(StudioError, match="5 of 10 bytes") as raised:
            folder.take(number, at, block)
        assert raised.value.status == 409
    assert folder.take(number, 5, b"67890").bytes == 10
    for other in (number, "f" * 16, "../../x"):
        with pytest.raises(StudioError, match="is on its way"):
            folder.take(other, 0, b"1")


def test_what_is_no_text_is_refused_with_its_first_block(folder):
    number = folder.begin_text("picture.txt", 5000)
    with pytest.raises(StudioError, match="a binary file, not text"):
        folder.take(number, 0, b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)
    assert not list(folder.texts.iterdir())


def test_sizes_are_bounded(folder):
    folder.largest_text = 100
    for size, status in ((101, 413), (0, 400)):
        with pytest.raises(StudioError) as raised:
            folder.begin_text("a.txt", size)
        assert raised.value.status == status


def test_a_full_disk_is_said_and_the_block_can_be_sent_again(folder, monkeypatch):
    monkeypatch.setattr(studio_folder, "SPARE", shutil.disk_usage("/").total * 4)
    with pytest.raises(StudioError, match="make room") as raised:
        folder.begin_text("a.txt", 10)
    assert raised.value.status == 507
    monkeypatch.undo()
    number = folder.begin_text("a.txt", 4)
    real = open

    def full(*arguments, **how):
        file = real(*arguments, **how)
        if "r+b" in arguments:
            write = file.write

            class Full:
                def __getattr__(self, name):
                    return getattr(file, name)

                def __enter__(self):
                    return self

                def __exit__(self, *error):
                    file.close()

                def write(self, block):
                    write(block[:2])
                    raise OSError(28, "No space left on device")

            return Full()
        return file

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(StudioError, match="No space left"):
        folder.take(number, 0, b"1234")
    monkeypatch.undo()
    assert folder.take(number, 0, b"1234").bytes == 4


def test_of_a_block_that_the_disk_takes_in_part_nothing_stays(folder):
    resource = pytest.importorskip("resource")
    number = folder.begin_text("a.txt", 9100)
    folder.take(number, 0, b"a" * 9000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9050, before[0][1]))
        with pytest.raises(StudioError, match="make room and try again"):
            folder.take(number, 9000, b"b" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])
    text = folder.take(number, 9000, b"b" * 100)
    assert (folder.texts / text.file).read_bytes() == b"a" * 9000 + b"b" * 100


def test_a_text_whose_end_cannot_be_noted_is_still_on_its_way(folder, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    number = folder.begin_text("a.txt", 4)
    folder.take(number, 0, b"in")
    monkeypatch.setattr(studio_folder, "write_json", full)
    with pytest.raises(StudioError, match="No space left"):
        folder.take(number, 2, b"k.")
    monkeypatch.undo()
    assert folder.list_texts() == []
    text = folder.take(number, 2, b"k.")
    assert (folder.texts / text.file).read_bytes() == b"ink."


def test_what_never_came_is_forgotten(folder, monkeypatch):
    folder.begin_text("a.txt", 4)
    assert folder.list_texts() == [] and len(list(folder.texts.iterdir())) == 2
    monkeypatch.setattr(studio_folder, "LONGEST_WAY", -1)
    assert folder.list_texts() == [] and not list(folder.texts.iterdir())
