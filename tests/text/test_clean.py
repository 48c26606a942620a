import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest

from inkstone.errors import TextError
from inkstone.text import clean as module
from inkstone.text.clean import CleanReport, CleanSettings, clean, clean_batches
from inkstone.text.document import SCHEMA


def prose(seed: int, words: int = 150) -> str:
    generator = np.random.default_rng(seed)
    vocabulary = [*["the", "and", "of", "with", "said"] * 20, *(f"word{n}" for n in range(500))]
    return " ".join(vocabulary[n] for n in generator.integers(0, len(vocabulary), words)) + "."


def corpus(folder: Path, count: int = 300) -> Path:
    """A jsonl file with every kind of trouble, planted at known places."""
    texts = [prose(seed) for seed in range(count)]
    texts[10] = texts[3].upper()
    texts[20] = texts[4] + " And more."
    texts[30] = "  "
    texts[40] = "1234567890 " * 20
    texts[50] = texts[50].replace(" ", "\r\n", 1) + " schÃ¶n"
    texts[60] = "老人和孩子带着渔网走到海边，看见远方的船。"
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return path


REASONS = {10: "duplicate of {}#3", 20: "near-duplicate of {}#4", 30: "empty", 40: "mostly digits"}


def test_every_row_comes_through_with_its_reason(tmp_path):
    path = corpus(tmp_path / "in")
    batches, report = clean_batches([path], quiet=True)
    frame = pl.concat(batches)
    assert frame.schema == SCHEMA and len(frame) == 300
    found = {number: reason for number, reason in enumerate(frame["dropped"]) if reason}
    assert found == {number: reason.format(path) for number, reason in REASONS.items()}
    assert "schön" in frame["text"][50] and "\r" not in frame["text"][50]
    assert frame["language"][60] == "zh" and frame["language"][61] == "en"
    assert (report.documents, report.kept_documents) == (300, 296)
    assert report.kept_bytes == frame.filter(pl.col("dropped").is_null())["text"].str.len_bytes().sum()
    assert {reason: entry.documents for reason, entry in report.dropped.items()} == dict.fromkeys(
        ("duplicate", "near-duplicate", "empty", "mostly digits"), 1
    )
    assert report.dropped["duplicate"].examples[0][0] == f"{path}#10"
    assert (report.duplicates, report.near_duplicates, report.repairs.mojibake) == (1, 1, 1)
    assert report.languages["zh"].documents == 1 and report.chinese_scripts == {"Hans": 1}
    assert report.encodings == {"utf-8": 1} and report.files == 1


def test_examples_of_what_was_dropped_command_no_terminal(tmp_path):
    (tmp_path / "odd.txt").write_text("\x1b[2J\x01 wipes a screen, said the stone to the brush. " * 40)
    batches, report = clean_batches([tmp_path / "odd.txt"], quiet=True)
    assert len(list(batches)) == 1
    ((_, text),) = report.dropped["binary data"].examples
    assert text.startswith("\ufffd[2J\ufffd wipes") and text.isprintable()


def test_the_number_of_processes_makes_no_difference(tmp_path):
    banner = "\nRead more of this at the Daily Inkwell, every day of the week\n"
    texts = [prose(seed % 900, 100 + seed % 50) + (banner if seed % 3 else "") for seed in range(1200)]
    for start in range(0, 1200, 60):
        lines = (json.dumps({"text": text}) + "\n" for text in texts[start : start + 60])
        (tmp_path / f"{start:05d}.jsonl").write_text("".join(lines))
    results = []
    for processes in (1, 2, 3):
        batches, report = clean_batches([tmp_path], processes=processes, quiet=True, batch_bytes=60_000)
        results.append((pl.concat(batches), {**report.to_dict(), "seconds": 0, "processes": 0}))
    assert report.processes == 3 and report.removed_lines.lines > 500
    for frame, facts in results[1:]:
        assert frame.equals(results[0][0])
        assert facts == results[0][1]


def test_settings(tmp_path):
    path = corpus(tmp_path / "in")

    def kept(**settings) -> set[int]:
        frame = pl.concat(clean_batches([path], CleanSettings(**settings), quiet=True)[0])
        return {number for number, reason in enumerate(frame["dropped"]) if reason is None}

    everything = set(range(300))
    assert kept(near_duplicates=False) == everything - {10, 30, 40}
    assert kept(quality=False) == everything - {10, 20}
    assert kept(languages=("zh",)) == {60}
    for wrong in ({"threshold": 0}, {"threshold": 1.5}, {"unicode_form": "NFD"}):
        with pytest.raises(TextError):
            CleanSettings(**wrong)


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_the_folder_can_be_read_again(tmp_path, format):
    out = tmp_path / "out"
    report = clean([corpus(tmp_path / "in")], out, format=format, quiet=True)
    assert sorted(path.name for path in out.iterdir()) == [".cleaning", f"text-00000.{format}"]
    batches, again = clean_batches([out], quiet=True)
    frame = pl.concat(batches)
    assert len(frame) == report.kept_documents == again.kept_documents == 296
    dropped = pl.read_parquet(out / ".cleaning" / "dropped-00000.parquet")
    assert dropped["dropped"].str.contains("duplicate").sum() == 2 and len(dropped) == 4
    assert CleanReport.from_dict(json.loads((out / ".cleaning" / "report.json").read_text())) == report


def test_an_earlier_cleaning_is_replaced_and_anything_else_refused(tmp_path):
    path, out = corpus(tmp_path / "in"), tmp_path / "out"
    clean([path], out, quiet=True)
    clean([path], out, format="jsonl", quiet=True)
    assert not list(out.glob("*.parquet"))
    (out / "my-novel.txt").write_text("years of work")
    with pytest.raises(TextError, match=r"something else.*my-novel\.txt"):
        clean([path], out, quiet=True)
    assert (out / "my-novel.txt").read_text() == "years of work" and (out / "text-00000.jsonl").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "text-notes.txt").write_text("mine")
    with pytest.raises(TextError, match="something else"):
        clean([path], other, quiet=True)
    with pytest.raises(TextError, match="is a file"):
        clean([path], path, quiet=True)


def test_a_folder_that_is_also_read_is_not_lost(tmp_path):
    out = tmp_path / "out"
    clean([corpus(tmp_path / "in")], out, quiet=True)
    clean([out], out, quiet=True)
    assert len(pl.read_parquet(out / "text-00000.parquet")) == 296


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("write_parquet", pl.exceptions.ComputeError("parquet: underlying IO error: No space left (os error 28)")),
        ("write_json", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    ],
)
def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, where, error):
    def full(*arguments, **options):
        raise error

    path, out = corpus(tmp_path / "in"), tmp_path / "out"
    monkeypatch.setattr(*((pl.DataFrame, where) if where == "write_parquet" else (module, where)), full)
    with pytest.raises(TextError, match="No space left"):
        clean([path], out, quiet=True)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["in"]


def test_nothing_left_is_an_error_that_says_why(tmp_path):
    (tmp_path / "digits.txt").write_text("12345 67890\n" * 50)
    with pytest.raises(TextError, match="nothing is left of 1 documents: 1 mostly digits"):
        clean([tmp_path / "digits.txt"], tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_works_from_a_script_without_a_main_guard(tmp_path):
    for number in range(4):
        corpus(tmp_path / f"in/{number}")
    script = tmp_path / "script.py"
    script.write_text(
        "from inkstone.text.clean import clean_batches\n"
        f"batches, report = clean_batches([{str(tmp_path / 'in')!r}], processes=2, quiet=True, batch_bytes=20_000)\n"
        "print(sum(map(len, batches)), report.processes)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1200", "2"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path):
    """After the first third, the process tree may gain what it must know of the documents, and no text."""
    paragraphs = [prose(seed, 60) for seed in range(2000)]
    generator = np.random.default_rng(0)
    for start in range(0, 30_000, 500):
        picks = generator.integers(0, len(paragraphs), (500, 4))
        texts = ("\n".join(f"{paragraphs[pick]} {n}" for pick in row) for n, row in enumerate(picks, start))
        (tmp_path / f"{start:05d}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    me, seen = psutil.Process(), []
    before = me.memory_info().rss  # of the tests that ran in this process until now
    batches, report = clean_batches([tmp_path], processes=2, quiet=True, batch_bytes=1 << 20)
    for _ in batches:
        tree = [me, *me.children(recursive=True)]
        seen.append((report.documents, sum(process.memory_info().rss for process in tree)))
    assert report.bytes > 35_000_000 and report.processes == 2
    first = [memory for documents, memory in seen if documents <= 10_000]
    rest = [memory for documents, memory in seen if documents > 10_000]
    assert max(rest) - max(first) < 20_000 * 2_000
    assert max(rest) - before < 1_500_000_000
