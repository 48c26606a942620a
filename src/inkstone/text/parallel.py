"""Parallel text: the same in two languages or more, read from tables, TMX, and files that stand line by line beside each other.

| file | how its texts are told |
|---|---|
| `train.en` and `train.de`, `en.txt` and `de.txt` | names that differ in a language alone: line by line |
| two other files of lines | line by line, in the order in which they are named |
| tsv without names | the first two columns of texts |
| csv, tsv, JSON lines | columns that are called like languages, or by the names of `SOURCE_NAMES` and `TARGET_NAMES` |
| TMX | by its languages |

Each may be packed (.gz, .xz, .bz2, .zst) or in an archive. Files of unequal length are refused: which lines belong together
cannot be known.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from inkstone.errors import TextError, nearest
from inkstone.text import csv_table, json_records, tmx
from inkstone.text.language_codes import language_code
from inkstone.text.member import Member
from inkstone.text.reading_report import ReadingReport
from inkstone.text.records import form_of, members
from inkstone.text.text_column import as_text

SOURCE_NAMES = ("source", "src", "text", "original", "原文", "源文")
TARGET_NAMES = ("target", "tgt", "translation", "translated", "译文", "譯文", "翻译", "目标")
SAMPLE = 200  # records by which columns are told
PACKED = (".gz", ".xz", ".bz2", ".zst")
_PART = re.compile(r"[^\W\d_]+")
# Codes that are words, too, of which names are made: languages only where a name ends, as in letters.it.txt.
_WORDS = frozenset(("be", "he", "hi", "id", "is", "it", "la", "my", "no"))
_OF_TEXT = re.compile(r"\.(txt|text|lines|tok|bpe|raw)$", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z][\w ]{0,30}", re.ASCII)  # of a column, as tables have them
_TMX = re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE tmx\b|<tmx\b)", re.DOTALL)

Side = tuple[str | None, str]  # the language as far as a name tells it, and the text


@dataclass(frozen=True)
class Parallel:
    """One text in several languages, the source first where an order is told."""

    place: str  # "file:line", of the first side
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class Columns:
    """The columns that a person names, of tables; None: told by names and contents."""

    source: str | None = None
    target: str | None = None


@dataclass(frozen=True)
class _Lines:
    label: str
    language: str | None
    rest: str  # the name without the language
    lines: list[str]


def read_parallel(
    sources: Sequence[str | Path], report: ReadingReport | None = None, columns: Columns | None = None
) -> Iterator[Parallel]:
    """The parallel texts of files, folders and `data:NAME`; sides may be empty, which is for the caller to judge.

    Raises TextError for files that do not belong together, that have unequal numbers of lines, or hold no two texts.
    """
    report = report if report is not None else ReadingReport()
    columns = columns or Columns()
    waiting: list[_Lines] = []
    found = False
    for member, name in members(sources, report):
        form = "tmx" if _is_tmx(member, name) else form_of(member, name)
        report.formats[form] += 1
        try:
            if form == "tmx":
                rows = ((line, tuple(texts.items())) for line, texts in tmx.units(member))
            elif form == "json":
                rows = _of_table(json_records.records(member), columns)
            elif form in ("csv", "tsv") or (form == "text" and _has_tabs(member)):
                rows = _of_table(csv_table.records(member), columns)
            elif form == "text":
                waiting.append(_lines(member, name))
                continue
            else:
                raise TextError(f"{form}, but parallel text is read from lines, csv, tsv, JSON lines and TMX")
            for line, sides in rows:
                found = True
                yield Parallel(f"{member.label}:{line}", sides)
        except TextError as error:
            raise TextError(f"{member.label}: {error}") from None
    for group in _groups(waiting):
        _refuse_unequal(group)
        for number, texts in enumerate(zip(*(each.lines for each in group), strict=True), 1):
            found = True
            sides = tuple((each.language, text) for each, text in zip(group, texts, strict=True))
            yield Parallel(f"{group[0].label}:{number}", sides)
    if not found:
        skipped = f": {report.reasons()}" if report.skipped else ""
        raise TextError(f"no parallel text in {', '.join(map(str, sources))}{skipped}")


def _is_tmx(member: Member, name: str) -> bool:
    return name.lower().endswith(".tmx") or bool(_TMX.match(member.head()))


def _has_tabs(member: Member) -> bool:
    """Whether the first lines are a table of columns between tabs: most have as many, and at least one."""
    lines = member.head().decode("utf-8", "replace").split("\n")
    counts = Counter(line.count("\t") for line in (lines[:-1] or lines) if line.strip())
    tabs, rows = counts.most_common(1)[0] if counts else (0, 0)
    return tabs > 0 and rows * 2 > counts.total()


def _lines(member: Member, name: str) -> _Lines:
    text = b"".join(member.utf8()).decode()
    lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
    language, rest = language_of_name(name)
    home = member.label[: max(member.label.rfind(sign) for sign in "/\\") + 1]  # a folder of either system
    return _Lines(member.label, language, f"{home}{rest}", lines)


def unpacked_name(name: str) -> str:
    """A file's name without the ending that says how it is packed."""
    for packing in PACKED:
        name = name.removesuffix(packing)
    return name


def language_of_name(name: str) -> tuple[str | None, str]:
    """The language that a file's name tells, the last one in it, and what is left of the name.

    >>> language_of_name("news.en-de.de.gz"), language_of_name("zh.txt"), language_of_name("is_it_my_text.txt")
    (('de', 'news.en-de.*'), ('zh', '*.txt'), (None, 'is_it_my_text.txt'))
    """
    plain = unpacked_name(PurePosixPath(name).name)
    end = len(_OF_TEXT.sub("", plain))
    for match in reversed(list(_PART.finditer(plain))):
        if match[0].lower() in _WORDS and match.end() < end:
            continue
        if code := language_code(match[0]):
            return code, f"{plain[: match.start()]}*{plain[match.end() :]}"
    return None, plain


def _groups(files: Sequence[_Lines]) -> Iterator[list[_Lines]]:
    """Files that belong together: by their names; two that are left over, to each other."""
    by_name: dict[str, list[_Lines]] = {}
    for file in files:
        if file.language is not None:
            by_name.setdefault(file.rest, []).append(file)
    groups = [group for group in by_name.values() if len({each.language for each in group}) == len(group) > 1]
    yield from groups
    together = {id(file) for group in groups for file in group}
    left = [file for file in files if id(file) not in together]
    if len(left) == 2:
        # What both names say is a word of theirs and no language, as in my_source.txt my_target.txt: the texts tell.
        same = left[0].language == left[1].language
        yield [replace(file, language=None) for file in left] if same else left
    elif left:
        raise TextError(
            f"{', '.join(file.label for file in left)}: lines of one language; name the file with the other one beside it, "
            "as in train.en train.de, or a table with both"
        )


def _refuse_unequal(group: Sequence[_Lines]) -> None:
    if len({len(each.lines) for each in group}) > 1:
        told = ", ".join(f"{each.label} {len(each.lines):,}" for each in group)
        raise TextError(
            f"files of unequal length, whose lines cannot be told to belong together: {told} lines; find the line that is "
            "missing or one too many"
        )


def _of_table(
    records: Iterator[tuple[int, dict[str, Any]]], columns: Columns
) -> Iterator[tuple[int, tuple[Side, ...]]]:
    flat = ((line, _flat(values)) for line, values in records)
    head = list(islice(flat, SAMPLE))
    if head and not _are_names(list(head[0][1]), columns):  # a first row that only looked like names
        head.insert(0, (1, {name: name for name in head[0][1]}))
    samples = {name: [v.get(name) for _, v in head] for name in dict.fromkeys(n for _, v in head for n in v)}
    chosen = _columns(samples, columns)
    for line, values in (*head, *flat):
        sides = tuple((language_code(name), (as_text(values.get(name)) or "")) for name in chosen)
        yield line, sides


def _are_names(names: Sequence[str], wanted: Columns) -> bool:
    known = (*SOURCE_NAMES, *TARGET_NAMES, wanted.source, wanted.target)
    return any(name.strip().lower() in known or name in known or language_code(name) for name in names) or all(
        _NAME.fullmatch(name) for name in names if name.strip()
    )


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """A record, its objects opened: {"translation": {"en": ..., "de": ...}} is how many sets are kept."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= value if isinstance(value, dict) else {name: value}
    return found


def _columns(samples: Mapping[str, Sequence[Any]], wanted: Columns) -> list[str]:
    """The columns of the sides, the source first. Raises TextError, with the columns, where no two can be told."""
    for setting, name in (("source_column", wanted.source), ("target_column", wanted.target)):
        if name is not None and name not in samples:
            raise TextError(
                f"task.{setting} = {name!r}, but the columns are: {', '.join(samples)}; {nearest(name, samples)}"
            )
    taken = [name for name in (wanted.source, wanted.target) if name]
    texts = _texts(samples, taken)
    languages = [name for name in samples if language_code(name) and (name in texts or not any(samples[name]))]
    lower = {name.strip().lower(): name for name in reversed(list(samples))}
    source = wanted.source or next((lower[name] for name in SOURCE_NAMES if name in lower), None)
    target = wanted.target or next((lower[name] for name in TARGET_NAMES if name in lower), None)
    if wanted.source and wanted.target:
        return [wanted.source, wanted.target]
    if source and target:
        return [source, target]
    if wanted.source or wanted.target:
        others = languages or texts
        found = [wanted.source, *others[:1]] if wanted.source else [*others[:1], wanted.target]
    else:
        found = languages if len(languages) > 1 else texts[:2]
    named = [name for name in found if name]
    if len(named) < 2:
        raise TextError(
            f"no two columns of texts; the columns are: {', '.join(samples) or 'none'}; name them with "
            "--set task.source_column=NAME and task.target_column=NAME"
        )
    return named


def _texts(samples: Mapping[str, Sequence[Any]], taken: Sequence[str]) -> list[str]:
    """The columns with letters in most of their cells, which mostly differ."""
    found = []
    for name, values in samples.items():
        texts = [text for value in values if (text := (as_text(value) or "").strip())]
        lettered = [text for text in texts if any(map(str.isalpha, text))]
        if name not in taken and lettered and len(lettered) * 2 > len(texts) and len(set(texts)) * 20 > len(texts):
            found.append(name)
    return found
