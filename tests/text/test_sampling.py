import json
from pathlib import Path

import polars as pl
import pytest

from inkstone.text import sampling
from inkstone.text.clean import clean_batches
from inkstone.text.document import documents
from inkstone.text.reading import read
from inkstone.text.sampling import Sample, draw_sample


def corpus(folder: Path, files: int, lines: int = 100) -> Path:
    folder.mkdir()
    for number in range(files):
        texts = (f"file {number} line {line} " + "ink and stone " * 5 for line in range(lines))
        records = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"{number:03d}.jsonl").write_text(records)
    return folder


def ids(sources: list, sample: Sample) -> list[str]:
    frames = list(sample.of(read(sources, opens=sample.opens, batch_bytes=2000)))
    return pl.concat(frames)["id"].to_list() if frames else []


def test_small_sources_are_read_whole(tmp_path):
    folder = corpus(tmp_path / "in", 3)
    for sample in (Sample(), draw_sample([folder], None), draw_sample([folder], 10**6)):
        assert len(ids([folder], sample)) == 300
        assert sample.ended_by == "" and sample.files is None and sample.documents == 300


def test_one_file_gives_documents_from_all_over_it(tmp_path):
    folder = corpus(tmp_path / "in", 1, lines=4000)
    size = (folder / "000.jsonl").stat().st_size
    sample = draw_sample([folder / "000.jsonl"], size // 10)
    found = [int(name.rpartition("#")[2]) for name in ids([folder / "000.jsonl"], sample)]
    assert 300 < len(found) < 500 and found == sorted(found)
    for quarter in range(4):
        assert 60 < sum(quarter * 1000 <= number < (quarter + 1) * 1000 for number in found) < 140
    assert (sample.total_bytes, sample.documents) == (size, len(found))


def test_the_same_seed_draws_the_same_and_another_seed_others(tmp_path):
    folder = corpus(tmp_path / "in", 40)
    most = sum(path.stat().st_size for path in folder.iterdir()) // 8
    first, again, other = (ids([folder], draw_sample([folder], most, seed)) for seed in (1, 1, 2))
    assert first == again and first != other and 300 < len(first) < 800


def test_of_many_files_most_stay_closed(tmp_path):
    folder = corpus(tmp_path / "in", 400, lines=2)
    sample = draw_sample([folder], sum(path.stat().st_size for path in folder.iterdir()) // 8)
    assert sample.files is not None and 45 <= len(sample.files) <= 55 and sample.share > 0.95
    opened = {name.partition("#")[0] for name in ids([folder], sample)}
    assert opened <= sample.files
    numbers = sorted(int(Path(name).stem) for name in sample.files)
    assert numbers[0] < 50 and numbers[-1] > 350


class Clock:
    """A clock that only goes on when the slow source is read."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_a_slow_source_is_left_when_the_time_is_up(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(sampling, "time", clock)
    taken = []

    def slow():
        for number in range(100):
            clock.now += 1.0
            taken.append(number)
            yield documents([f"text {number}"])

    sample = Sample(seconds=5.0)
    assert [frame["text"][0] for frame in sample.of(slow())] == [f"text {number}" for number in range(5)]
    assert (sample.ended_by, sample.documents, len(taken)) == ("time", 5, 5)
    again = Sample(most_documents=sample.documents)
    assert len(list(again.of(slow()))) == 5 and again.ended_by == "count"


def test_what_has_no_size_is_ended_by_the_bytes_read():
    sample = draw_sample(["-"], 40)
    assert sample.total_bytes is None
    assert len(list(sample.of(documents(["x" * 15]) for _ in range(10)))) == 3 and sample.ended_by == "size"


def test_cleaning_reads_the_sample_only(tmp_path):
    folder = corpus(tmp_path / "in", 1, lines=1000)
    sample = draw_sample([folder], (folder / "000.jsonl").stat().st_size // 5)
    batches, report = clean_batches([folder], quiet=True, sample=sample)
    assert sum(map(len, batches)) == report.documents == sample.documents < 300


@pytest.mark.parametrize(("name", "times"), [("a.jsonl", 1), ("a.txt.xz", 4), ("a.parquet", 2)])
def test_packed_files_hold_more_text_than_bytes(tmp_path, name, times):
    (tmp_path / name).write_bytes(bytes(100))
    assert sampling.text_bytes(tmp_path / name) == 100 * times
    assert sampling.text_bytes(tmp_path / "not there") == 0
