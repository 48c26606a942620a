"""Lists of recordings with what is said in them: who reads a manifest gets paths, and for each the transcript and its place.

    tsv, csv, JSON lines    a column of paths and one of transcripts; of tables without a head the first and the second
    metadata.csv            `id|text|normalised text` as LJ Speech has it, the recordings in `wavs/`, `audio/` or beside it
    a folder                recordings, each with the transcript in a file of its name that ends in .txt

Paths are relative to the manifest. Whether a recording is there and can be read is looked at by who reads it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstone.errors import TextError, nearest
from inkstone.text.csv_table import RECORDINGS as ENDINGS
from inkstone.text.datasets import PREFIX
from inkstone.text.reading_report import ReadingReport
from inkstone.text.records import Record, members, read_records
from inkstone.text.sources import SourceFile, files, once
from inkstone.text.text_column import as_text

AUDIO_NAMES = (
    *("audio", "audio_filepath", "audio_path", "path", "file", "filename", "file_name", "wav", "audio_file"),
    *("音频", "录音", "路径", "文件"),
)
TEXT_NAMES = (
    *("text", "transcript", "transcription", "sentence", "normalized_text", "normalised_text", "words"),
    *("文本", "转写", "句子", "内容"),
)
SPEAKER_NAMES = ("speaker", "speaker_id", "client_id", "spk", "说话人")
FOLDERS = ("", "wavs", "audio", "clips", "recordings")  # beside a manifest, where its recordings may lie
BAR = "|"


@dataclass(frozen=True)
class Transcript:
    """A recording and what is said in it; `text` is None where the list does not say."""

    place: str  # "file:line", or the recording itself
    audio: Path
    text: str | None
    speaker: str | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of a manifest, where they are named; None: by their usual names."""

    audio: str | None = None
    text: str | None = None
    speaker: str | None = None


def read_transcripts(
    sources: Sequence[str | Path], wanted: Columns, report: ReadingReport, found: dict[str, str] | None = None
) -> Iterator[Transcript]:
    """What manifests and folders list, in a fixed order; the columns that were taken go into `found`.

    Raises TextError for a source that does not exist, for one that is neither, and for a table without such columns.
    """
    for source in map(str, sources):
        if Path(source).is_dir():
            yield from _of_folder(source, wanted, report, found)
            continue
        barred = _with_bars(source)
        if barred is not None:
            yield from _of_bars(barred, Path(source))
            continue
        yield from _of_table(source, wanted, report, {} if found is None else found)


def resolved_audio(manifest: Path, name: str) -> Path:
    """The recording that a manifest names: beside it, in one of the usual folders, with or without its ending."""
    given = Path(name)
    if given.is_absolute():
        return given
    for folder in FOLDERS:
        for ending in ("", *ENDINGS):
            path = manifest.parent / folder / f"{name}{ending}"
            if path.is_file():
                return path
    return manifest.parent / given


def columns_of(values: Mapping[str, Any], wanted: Columns, place: str) -> tuple[str, str | None, str | None]:
    """The columns of recording, transcript and speaker. Raises TextError where there is none of recordings."""
    names = list(values)
    bare = bool(names) and all(name == f"column_{at}" for at, name in enumerate(names, 1))
    audio = _column(names, wanted.audio, AUDIO_NAMES, place) or ("column_1" if bare else None)
    text = _column(names, wanted.text, TEXT_NAMES, place) or ("column_2" if bare and len(names) > 1 else None)
    speaker = _column(names, wanted.speaker, SPEAKER_NAMES, place)
    speaker = speaker or ("column_3" if bare and len(names) == 3 else None)
    if audio is None:
        raise TextError(
            f"{place}: no column of recordings; the columns are: {', '.join(names) or 'none'}; call it 'audio', or name it with "
            "--set task.audio_column=NAME"
        )
    return audio, text, speaker


def _of_table(source: str, wanted: Columns, report: ReadingReport, found: dict[str, str]) -> Iterator[Transcript]:
    """The rows of tables, whose columns may differ from file to file."""
    for file in once([source], report.skip):
        if not isinstance(file, SourceFile):
            raise TextError(f"{source}: recordings are listed in files; name a manifest or a folder")
        manifest, columns = file.path, None
        for record in read_records([file.label if file.label.startswith(PREFIX) else file.path], report):
            if columns is None or columns[0] not in record.values:
                columns = columns_of(record.values, wanted, record.place)
                roles = zip(("recording", "transcript", "speaker"), columns, strict=True)
                found |= {role: name for role, name in roles if name is not None}
            yield _of_record(record, manifest, *columns)


def _of_record(record: Record, manifest: Path, audio: str, text: str | None, speaker: str | None) -> Transcript:
    name = (as_text(record.values.get(audio)) or "").strip()
    said = None if text is None else (as_text(record.values.get(text)) or "").strip()
    who = None if speaker is None else (as_text(record.values.get(speaker)) or "").strip() or None
    return Transcript(record.place, resolved_audio(manifest, name) if name else Path(), said, who)


def _of_folder(
    folder: str, wanted: Columns, report: ReadingReport, found: dict[str, str] | None
) -> Iterator[Transcript]:
    """Recordings with a .txt of their name; where there is none at all, the manifest of that folder."""
    listed = {file.path for file in files(folder, report.skip)}
    spoken = sorted(path for path in listed if path.suffix.lower() in ENDINGS)
    beside = {path.with_suffix(""): path for path in sorted(listed, reverse=True) if path.suffix.lower() == ".txt"}
    if not any(path.with_suffix("") in beside for path in spoken):
        manifests = sorted(path for path in listed if path.suffix.lower() in (".tsv", ".csv", ".jsonl"))
        if len(manifests) != 1:
            raise TextError(
                f"{folder}: {len(spoken):,} recordings, of which none has a transcript in a file of its name that ends in .txt; "
                "write these, or name the manifest itself"
            )
        yield from read_transcripts(manifests, wanted, report, found)
        return
    for path in spoken:
        text = beside.get(path.with_suffix(""))
        said = None if text is None else _whole(text, report).strip()
        yield Transcript(str(path), path, said)


def _whole(file: str | Path, report: ReadingReport) -> str:
    """The text of a file, packed or not, in whatever encoding it is."""
    return "".join(b"".join(member.utf8()).decode() for member, _ in members([file], report))


def _with_bars(source: str) -> list[tuple[int, str]] | None:
    """The numbered lines of a table between bars, as LJ Speech has it; None for any other file."""
    if source.startswith(PREFIX) or not source.lower().endswith((".csv", ".txt", ".csv.xz", ".csv.gz")):
        return None
    text = _whole(source, ReadingReport())
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    first = lines[0][1] if lines else ""
    return lines if first.count(BAR) in (1, 2) and "\t" not in first and first.find(BAR) < len(first) - 1 else None


def _of_bars(lines: Sequence[tuple[int, str]], manifest: Path) -> Iterator[Transcript]:
    """`id|text`, or `id|text|normalised`, of which the last is what is said."""
    for number, line in lines:
        name, *told = line.split(BAR)
        said = next((part.strip() for part in reversed(told) if part.strip()), "")
        yield Transcript(f"{manifest}:{number}", resolved_audio(manifest, name.strip()), said)


def _column(names: Sequence[str], wanted: str | None, usual: Sequence[str], place: str) -> str | None:
    if wanted is not None:
        if wanted not in names:
            raise TextError(
                f"{place}: no column {wanted!r}; the columns are: {', '.join(names)}; {nearest(wanted, names)}"
            )
        return wanted
    lower = {name.strip().lower(): name for name in reversed(names)}
    return next((lower[name] for name in usual if name in lower), None)
