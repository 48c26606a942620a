import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings, strategies as st

from inkstone.errors import TextError
from inkstone.text import archives
from inkstone.text.reading import ReadingReport, read

PROSE = "The ink is ground slowly on the stone. 墨要慢慢地磨。\n"
COMPRESS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


def texts(*sources, **options) -> list[str]:
    return [text for batch in read(sources, **options) for text in batch["text"]]


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("copies", [1, 150_000])
def test_compressed_files(tmp_path, kind, copies):
    path = tmp_path / f"a.txt.{kind}"
    path.write_bytes(COMPRESS[kind]((PROSE * copies).encode()))
    (first, *_) = read([path])
    assert "".join(texts(path)) == PROSE * copies
    assert first["source"][0] == str(path)


@pytest.mark.parametrize("kind", COMPRESS)
def test_several_streams_in_one_file(tmp_path, kind):
    path = tmp_path / f"a.txt.{kind}"
    path.write_bytes(COMPRESS[kind](b"one\n") + COMPRESS[kind](b"") + COMPRESS[kind](b"two\n"))
    assert texts(path) == ["one\ntwo\n"]


@pytest.mark.parametrize("kind", COMPRESS)
def test_the_first_bytes_tell_the_compression_whatever_the_name(tmp_path, kind):
    (tmp_path / "a.txt").write_bytes(COMPRESS[kind](PROSE.encode()))
    assert texts(tmp_path) == [PROSE]


@pytest.mark.parametrize("kind", COMPRESS)
def test_truncated_files_say_so(tmp_path, kind):
    path = tmp_path / f"a.txt.{kind}"
    content = COMPRESS[kind]((PROSE * 1000).encode())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(TextError, match=r"a\.txt\..*truncated"):
        texts(path)
    (tmp_path / "b.txt").write_text(PROSE)
    report = ReadingReport()
    assert texts(tmp_path, report=report) == [PROSE]
    assert "truncated" in report.skipped[0][1]


@pytest.mark.parametrize("kind", COMPRESS)
@settings(max_examples=40, deadline=None)
@given(at=st.integers(8, 60), flip=st.integers(1, 255))
def test_damaged_files_are_errors_and_nothing_else(kind, at, flip, tmp_path_factory):
    content = bytearray(COMPRESS[kind](PROSE.encode() * 3))
    content[at % len(content)] ^= flip
    path = tmp_path_factory.mktemp("damaged") / f"a.txt.{kind}"
    path.write_bytes(bytes(content))
    with suppress(TextError):
        texts(path)


def test_archives_in_archives(tmp_path):
    inner = zipped({"deep/b.txt": b"second", "c.jsonl": b'{"text": "third"}\n'})
    members = {"a.txt": b"first", "inner.zip": inner, "d.txt.gz": gzip.compress(b"fourth"), ".hidden.txt": b"never"}
    for name, content in (
        ("x.zip", zipped(members)),
        ("x.tar", tarred(members)),
        ("x.tar.gz", gzip.compress(tarred(members))),
        ("x.txz", lzma.compress(tarred(members))),
        ("x.tar.zst", zstandard.ZstdCompressor().compress(tarred(members))),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        (frame,) = read([path])
        assert frame["text"].to_list() == ["first", "second", "third", "fourth"]
        assert frame["source"].to_list() == [
            f"{path}!{inside}" for inside in ("a.txt", "inner.zip!deep/b.txt", "inner.zip!c.jsonl", "d.txt.gz")
        ]


def test_a_bad_member_is_skipped_with_its_reason(tmp_path):
    good = gzip.compress(PROSE.encode() * 100)
    for pack in (zipped, tarred):
        path = tmp_path / ("x.zip" if pack is zipped else "x.tar")
        path.write_bytes(
            pack({"a.png": b"\x89PNG\0\0", "b.txt.gz": good[:-20], "c.txt": b"fine", "d.zip": b"PK\x03\x04?"})
        )
        report = ReadingReport()
        assert texts(path, report=report) == ["fine"]
        assert [source for source, _ in report.skipped] == [f"{path}!{name}" for name in ("a.png", "b.txt.gz", "d.zip")]


def test_names_inside_archives_write_nothing(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(zipped({"../../outside.txt": b"text", "/absolute.txt": b"more"}))
    before = sorted(tmp_path.rglob("*"))
    assert texts(path) == ["text", "more"]
    assert sorted(tmp_path.rglob("*")) == before
    assert not (tmp_path.parent.parent / "outside.txt").exists()


def test_chinese_names_of_old_zip_files(tmp_path):
    path = tmp_path / "x.zip"
    content = zipped({"AAAA.txt": b"text"}).replace(b"AAAA", "红楼".encode("gb18030"))
    path.write_bytes(content)
    (frame,) = read([path])
    assert frame["source"][0] == f"{path}!红楼.txt"


def test_encrypted_members_are_named(tmp_path):
    content = bytearray(zipped({"a.txt": b"secret", "b.txt": b"open"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path = tmp_path / "x.zip"
    path.write_bytes(bytes(content))
    report = ReadingReport()
    assert texts(path, report=report) == ["open"]
    assert report.skipped == [(f"{path}!a.txt", "encrypted")]


def test_a_zip_without_its_end(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(zipped({"a.txt": PROSE.encode()})[:-30])
    with pytest.raises(TextError, match=r"x\.zip"):
        texts(path)


@pytest.fixture
def small_bombs(monkeypatch):
    monkeypatch.setattr(archives, "BOMB_BYTES", 1_000_000)


@pytest.mark.parametrize("wrapping", ["gz", "bz2", "xz", "zst", "zip", "tar.gz", "zip.zip", "gz.gz"])
def test_bombs_are_refused(tmp_path, small_bombs, wrapping):
    content = b"0" * 20_000_000
    for kind in wrapping.split("."):
        pack = COMPRESS.get(kind) or (zipped if kind == "zip" else tarred)
        content = pack({"a.zip": content}) if kind in ("zip", "tar") else pack(content)
    path = tmp_path / f"bomb.{wrapping}"
    path.write_bytes(content)
    with pytest.raises(TextError, match="like a zip bomb"):
        texts(path)


def test_many_members_together_are_a_bomb_too(tmp_path, small_bombs):
    path = tmp_path / "bomb.zip"
    path.write_bytes(zipped({f"{number}.txt": b"0" * 900_000 for number in range(20)}))
    with pytest.raises(TextError, match="like a zip bomb"):
        texts(path)


def test_text_that_packs_well_is_no_bomb(tmp_path, small_bombs):
    path = tmp_path / "fine.txt.gz"
    path.write_bytes(gzip.compress(b"".join(b"%d, " % number for number in range(400_000))))
    assert len("".join(texts(path))) > 1_000_000


def test_too_deep_nesting_is_refused(tmp_path):
    content = b"text"
    for _ in range(archives.DEEPEST + 1):
        content = zipped({"a.zip": content})
    path = tmp_path / "deep.zip"
    path.write_bytes(content)
    with pytest.raises(TextError, match="nested more than"):
        texts(path)


def test_office_files_are_no_archives_of_texts(tmp_path):
    path = Path(tmp_path / "letter.docx")
    path.write_bytes(zipped({"word/document.xml": b"<w>text</w>"}))
    with pytest.raises(TextError, match="binary"):
        texts(path)
