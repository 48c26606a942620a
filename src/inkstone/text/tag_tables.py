"""Tagged words in files: CoNLL-U, columns as in the CoNLL shared tasks, JSON records, and lines of segmented text.

    CoNLL-U     ten columns; the tags are one of them, UPOS where nothing else is asked for
    columns     a word a line, its tag the last column that holds a scheme, else the last (or the one that is named), between
                tabs or blanks, an empty line after a sentence; "-DOCSTART-" lines and comments in front of a sentence are
                passed over; a first column that counts the words is no word
    JSON        {"tokens": [...], "tags": [...]} or {"text": "...", "spans": [{"start": 0, "end": 3, "label": "PER"}]}
    lines       words between blanks, a sentence a line: what segmentation learns from

Nothing is said here of tag schemes: tags are given as they stand. What is doubtful is told with its file and line.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from inkstone.errors import TextError, nearest
from inkstone.text import json_records
from inkstone.text.conllu import COLUMNS, parse_conllu
from inkstone.text.member import Member
from inkstone.text.records import form_of, members
from inkstone.text.tag_columns import MOSTLY, SAMPLE, has_tabs, sentences_in_columns
from inkstone.text.tag_records import sentence_of_record
from inkstone.text.tagged_words import Notes, TaggedSentence, again

COLUMN_FILES = (".conllu", ".conllup", ".conll", ".iob", ".iob2", ".bio")  # whatever stands in them
TELLING = ("upos", "xpos")  # columns of CoNLL-U in which "_" says that the tag is missing


def read_tagged(
    sources: Sequence[str | Path],
    notes: Notes,
    *,
    tag_column: str | int | None = None,
    word_column: str | int | None = None,
    segmented: bool = False,
) -> Iterator[TaggedSentence]:
    """The sentences of files, in a fixed order.

    tag_column, word_column: a name of CoNLL-U or of JSON records, or the number of a column, from 1. segmented: words are
    all that is asked for. Raises TextError for a file that holds no tagged words in any of these forms.
    """
    ids: set[str] = set()
    for member, name in members(sources, notes.reading):
        form = form_of(member, name)
        notes.reading.formats[form] += 1
        if form == "json":
            for line, record in json_records.records(member):
                place = f"{member.label}:{line}"
                if again(record.get("id"), ids):
                    notes.mend(place, "the id stands before, too; both are kept")
                found = sentence_of_record(record, place, notes, tag_column, word_column, segmented)
                if found is not None:
                    yield TaggedSentence(place, **found)
            continue
        if form not in ("text", "tsv"):
            raise TextError(
                f"{member.label}: {form}, but tagged words are read from CoNLL-U, columns between tabs or blanks, and JSON lines"
            )
        lines = [line.rstrip("\r") for line in b"".join(member.utf8()).decode().split("\n")]
        if _is_conllu(name, lines):
            found = _conllu(member, lines, notes, "form" if segmented else str(tag_column or "upos").lower(), ids)
        elif segmented and not has_tabs(lines) and not in_columns(name):
            found = _segmented(member, lines)
            notes.columns = {"words": "what stands between blanks"}
        else:
            found = sentences_in_columns(member, lines, notes, tag_column, word_column, segmented, ids)
        yield from found


def in_columns(name: str | Path) -> bool:
    """Whether a file of this name holds a word a line, as its ending says."""
    return any(suffix.lower() in COLUMN_FILES for suffix in PurePosixPath(name).suffixes)


def _is_conllu(name: str, lines: Sequence[str]) -> bool:
    if any(suffix.lower() == ".conllu" for suffix in PurePosixPath(name).suffixes):
        return True
    rows = [line.split("\t") for line in lines[:SAMPLE] if line.strip() and not line.startswith("#")]
    return sum(len(row) == len(COLUMNS) and row[0][:1].isdecimal() for row in rows) > MOSTLY * len(rows)


def _conllu(member: Member, lines: Sequence[str], notes: Notes, column: str, ids: set[str]) -> Iterator[TaggedSentence]:
    if column not in COLUMNS[1:]:
        raise TextError(
            f"{member.label}: task.tag_column = {column!r}, but this is CoNLL-U; {nearest(column, COLUMNS[1:])}"
        )
    notes.columns = {"words": "form"} if column == "form" else {"words": "form", "tags": column}
    read = 0  # lines that the parser has taken

    def taken() -> Iterator[str]:
        nonlocal read
        for line in lines:
            read += 1
            yield line

    before = 0
    for sentence in parse_conllu(taken(), member.label):
        first = next(n for n, line in enumerate(lines[before:read], before + 1) if line.strip() and line[0] != "#")
        place, before = f"{member.label}:{first}", read
        told = (comment.partition("=") for comment in sentence.comments if "=" in comment)
        about = {key.strip(): value.strip() for key, _, value in told}
        if again(about.get("sent_id"), ids):
            notes.mend(place, "the sent_id stands before, too; both are kept")
        tags = [] if column == "form" else sentence.column(column)
        if column in TELLING and "_" in tags:
            notes.refuse(place, f"a word has no {column}")
            continue
        yield TaggedSentence(place, sentence.forms, tags, about.get("text"))


def _segmented(member: Member, lines: Sequence[str]) -> Iterator[TaggedSentence]:
    for number, line in enumerate(lines, 1):
        if words := line.split():
            yield TaggedSentence(f"{member.label}:{number}", words)
