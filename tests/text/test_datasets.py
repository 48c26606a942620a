import hashlib
import http.client
import io
import json
import lzma
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from inkstone.errors import TextError
from inkstone.text import datasets
from inkstone.text.datasets import DATASETS, DataFile, Dataset
from inkstone.text.reading import ReadingReport, read, total_bytes
from inkstone.text.records import read_records

CONTENT = b"To be, or not to be, that is the question.\n"
PACKED = lzma.compress(CONTENT)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def texts(*sources, **options) -> list[str]:
    return [text for batch in read(sources, **options) for text in batch["text"]]


@pytest.fixture
def small_set(tmp_path, monkeypatch) -> Path:
    """A data set of three small files, in a mirror; the cache is empty and the network refuses."""
    files = tuple(
        DataFile(f"{part}.txt", sha256(PACKED), sha256(CONTENT), f"owner/repository/commit/{part} 文.txt", part)
        for part in ("train", "valid", "test")
    )
    monkeypatch.setitem(DATASETS, "small", Dataset("Small", ("en",), "public domain", "nobody", "nowhere", files))
    mirror = tmp_path / "mirror"
    (mirror / "small").mkdir(parents=True)
    for file in files:
        (mirror / "small" / f"{file.name}.xz").write_bytes(PACKED)
    monkeypatch.setenv(datasets.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(datasets.MIRROR, raising=False)

    def refuse(address, timeout):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return mirror


def test_the_table_is_complete():
    for dataset in DATASETS.values():
        assert dataset.title and dataset.languages and dataset.licence and dataset.citation
        assert dataset.source.startswith("https://")
        names = [file.name for file in dataset.files]
        assert names == sorted(set(names))
        for file in dataset.files:
            assert len(bytes.fromhex(file.sha256)) == len(bytes.fromhex(file.packed_sha256)) == 32


def test_a_licence_that_nobody_states_is_doubtful_and_said_so():
    assert datasets.doubt("data:sentiment-chnsenticorp/train.tsv") is not None
    assert datasets.doubt("data:sentiment-sst2") == "none is stated; passed on freely for research"
    assert datasets.doubt("data:csl") is datasets.doubt("own.csv") is datasets.doubt("data:unknown") is None
    for dataset in DATASETS.values():
        assert ("doubtful" in dataset.licence.lower()) == dataset.licence.startswith(datasets.DOUBTFUL)


def test_the_parts_of_a_set_are_named_by_its_files(small_set):
    assert datasets.parts_of("data:small", "valid") == ["data:small/valid.txt"]
    assert datasets.parts_of("data:small", "test") == ["data:small/test.txt"]
    assert datasets.parts_of("data:small/train.txt", "test") == ["data:small/train.txt"]
    assert datasets.parts_of("data:tinyshakespeare", "valid") == []
    with pytest.raises(TextError, match="did you mean 'small'"):
        datasets.parts_of("data:smal", "valid")


def test_a_list_in_a_file_is_a_part_of_its_own(tmp_path, monkeypatch):
    content = json.dumps(
        {part: [[f"{part} the ink {at}", "a"] for at in range(3)] for part in ("train", "test")}, indent=1
    )
    packed = lzma.compress(content.encode())
    files = tuple(
        DataFile(f"whole.json#{part}", sha256(packed), sha256(content.encode()), None, part)
        for part in ("test", "train")
    )
    monkeypatch.setitem(DATASETS, "lists", Dataset("Lists", ("en",), "public domain", "nobody", "nowhere", files))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "whole.json.xz").write_bytes(packed)
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    assert texts("data:lists") == [f"train the ink {at}" for at in range(3)]
    records = list(read_records(["data:lists", "data:lists/whole.json#test"]))
    assert [record.values for record in records[2:4]] == [
        {"column_1": "train the ink 2", "column_2": "a"},
        {"column_1": "test the ink 0", "column_2": "a"},
    ]
    assert records[3].place == "data:lists/whole.json#test:1"
    wrong = DataFile("whole.json#dev", sha256(packed), sha256(content.encode()), None, "train")
    monkeypatch.setitem(DATASETS, "lists", Dataset("Lists", ("en",), "public domain", "nobody", "nowhere", (wrong,)))
    with pytest.raises(TextError, match="no list under the key 'dev'"):
        texts("data:lists")


def test_a_mirror_is_read_and_only_training_parts_unless_named(small_set, monkeypatch):
    monkeypatch.setenv(datasets.MIRROR, str(small_set))
    (frame,) = read(["data:small"])
    assert frame["text"].to_list() == [CONTENT.decode()]
    assert frame["source"].to_list() == ["data:small/train.txt"]
    assert texts("data:small/test.txt", "data:small/valid.txt") == [CONTENT.decode()] * 2
    assert total_bytes(["data:small"]) == len(PACKED)


def test_with_a_mirror_nothing_else_is_tried(small_set, monkeypatch):
    monkeypatch.setenv(datasets.MIRROR, str(small_set))
    (small_set / "small" / "train.txt.xz").unlink()
    with pytest.raises(TextError, match=r"INKSTONE_DATA=.* has no file small/train\.txt\.xz"):
        texts("data:small")


def test_a_damaged_mirror_is_noticed(small_set, monkeypatch):
    monkeypatch.setenv(datasets.MIRROR, str(small_set))
    (small_set / "small" / "train.txt.xz").write_bytes(lzma.compress(b"something else"))
    with pytest.raises(TextError, match=r"train\.txt\.xz: damaged"):
        texts("data:small")


def test_offline_is_one_clear_error(small_set):
    with pytest.raises(TextError, match=r"data:small/train\.txt cannot be fetched.*no network.*set INKSTONE_DATA"):
        texts("data:small")


def test_a_fetched_file_is_checked_kept_and_not_fetched_again(small_set, monkeypatch, tmp_path):
    asked: list[str] = []

    def answer(address, timeout):
        asked.append(address)
        return io.BytesIO(CONTENT)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    assert texts("data:small") == [CONTENT.decode()]
    assert texts("data:small") == [CONTENT.decode()]
    assert asked == ["https://raw.githubusercontent.com/owner/repository/commit/train%20%E6%96%87.txt"]
    kept = tmp_path / "cache" / "small" / "train.txt"
    assert kept.read_bytes() == CONTENT
    kept.write_bytes(b"damaged")
    with pytest.raises(TextError, match="damaged"):
        texts("data:small")


def test_other_content_at_the_address_is_refused_and_not_kept(small_set, monkeypatch, tmp_path):
    monkeypatch.setattr(urllib.request, "urlopen", lambda address, timeout: io.BytesIO(b"<html>moved</html>"))
    with pytest.raises(TextError, match="has other content now"):
        texts("data:small")
    assert not (tmp_path / "cache").exists()


def test_a_connection_that_breaks_off_is_one_clear_error(small_set, monkeypatch):
    class Broken(io.BytesIO):
        def read(self, *size):
            raise http.client.IncompleteRead(b"half")

    monkeypatch.setattr(urllib.request, "urlopen", lambda address, timeout: Broken())
    with pytest.raises(TextError, match="cannot be fetched"):
        texts("data:small")


def test_a_cache_that_cannot_be_written_is_named(small_set, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(datasets.CACHE, str(tmp_path / "file"))
    monkeypatch.setattr(urllib.request, "urlopen", lambda address, timeout: io.BytesIO(CONTENT))
    with pytest.raises(TextError, match="set INKSTONE_CACHE"):
        texts("data:small")


def test_a_set_without_a_public_address_says_what_to_do(small_set):
    with pytest.raises(TextError, match=r"zhwiki-a\.jsonl is a cut of https://.*set INKSTONE_DATA"):
        texts("data:zhwiki")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("chinese-novel", "did you mean 'chinese-novels'"), ("tinyshakespeare/inptu.txt", r"did you mean 'input\.txt'")],
)
def test_unknown_names_name_the_nearest(name, hint):
    with pytest.raises(TextError, match=hint):
        texts(f"data:{name}")


def test_a_set_that_is_all_test_is_read_only_by_the_names_of_its_files(small_set, monkeypatch):
    monkeypatch.setenv(datasets.MIRROR, str(small_set))
    small = DATASETS["small"]
    tests = tuple(file for file in small.files if file.part == "test")
    monkeypatch.setitem(DATASETS, "small", Dataset(small.title, small.languages, "none", "nobody", "nowhere", tests))
    with pytest.raises(TextError, match=r"data:small has no part to learn from.*named as data:small/test\.txt"):
        texts("data:small")
    assert texts("data:small/test.txt") == [CONTENT.decode()]


TO_LEARN_FROM = (
    "chinese-novels",
    "chinese-poetry",
    "gutenberg-en",
    "tinyshakespeare",
    "wikitext-2",
    "zhwiki",
)  # no labels


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_file_is_in_the_mirror_with_both_its_sums(data_mirror, name):
    for file in DATASETS[name].files:
        packed = (data_mirror / name / f"{file.file}.xz").read_bytes()
        assert sha256(packed) == file.packed_sha256
        assert sha256(lzma.decompress(packed)) == file.sha256


@pytest.mark.data
@pytest.mark.parametrize("name", TO_LEARN_FROM)
def test_every_named_set_is_read_from_the_mirror(data_mirror, name):
    report = ReadingReport()
    found = texts(f"data:{name}", report=report)
    parts = [file for file in DATASETS[name].files if file.part == "train"]
    assert report.files == len(parts)
    assert report.skipped == []
    assert report.bytes_replaced == 0
    assert sum(map(len, found)) > 300_000
    if parts[0].name.endswith(".txt"):
        whole = b"".join(lzma.decompress((data_mirror / name / f"{file.name}.xz").read_bytes()) for file in parts)
        assert sha256("".join(found).encode()) == sha256(whole)
        for file in parts:
            content = lzma.decompress((data_mirror / name / f"{file.name}.xz").read_bytes())
            assert sha256(content) == file.sha256
