"""Words and tags in columns, as in the CoNLL shared tasks: a word a line, an empty line after a sentence."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inkstone.errors import TextError
from inkstone.text.member import Member
from inkstone.text.tagged_words import Notes, TaggedSentence, again

SAMPLE = 2000  # lines by which the form of a file is told
DOCUMENT = "-DOCSTART-"
FILLERS = ("-", "_")  # in columns that say nothing
COMMENT = re.compile(r"#\s*[\w.:]+\s*=")  # where columns stand between blanks; "# O" may be a word there
PLACED = re.compile(r"(.)(\d+)", re.DOTALL)  # 节1: a character and its place in its word
SCHEME_TAG = re.compile(r"O|[BIESLUM]-.+", re.DOTALL)  # a tag of BIO, IOB1 or BIOES
MOSTLY = 0.95
LEAST_ALIKE = 0.5  # of the rows of a table must have as many cells

Row = tuple[int, list[str]]  # line, cells
Block = tuple[list[str], list[Row]]  # comments, rows


def has_tabs(lines: Sequence[str]) -> bool:
    """Whether columns stand between tabs."""
    rows = [line for line in lines[:SAMPLE] if line.strip()]
    return 2 * sum("\t" in line for line in rows) > len(rows)


def sentences_in_columns(
    member: Member,
    lines: Sequence[str],
    notes: Notes,
    tag_column: str | int | None,
    word_column: str | int | None,
    segmented: bool,
    ids: set[str],
) -> Iterator[TaggedSentence]:
    """The sentences of a file, given as lines; `ids` are the sent_ids that were seen. Raises TextError where there are no tags."""
    tabs = has_tabs(lines)
    blocks = list(blocks_of(lines, tabs=tabs))
    widths = Counter(len(cells) for _, rows in blocks for _, cells in rows)
    width = widths.most_common(1)
    if not (segmented or tabs) and _are_running_text(widths, len(blocks)):
        raise TextError(
            f"{member.label}: its lines have {min(widths)} to {max(widths)} words between blanks, so they are no columns of words "
            "and tags. If they are sentences cut into words: --set task.segment=true"
        )
    if not width or (width[0][0] < 2 and not segmented):
        raise TextError(
            f"{member.label}: one column; a tagger learns from words and tags, in two columns between tabs or blanks, or from "
            "CoNLL-U or JSON lines (segmented lines: --set task.segment=true)"
        )
    columns = _Columns.of(member, blocks, width[0][0], tag_column, word_column, segmented)
    notes.columns = {"words": f"column {columns.word + 1}"}
    if columns.tag is not None:
        notes.columns["tags"] = f"column {columns.tag + 1}"
    placed = _are_placed([cells[columns.word] for _, rows in blocks for _, cells in rows if len(cells) == width[0][0]])
    if placed:
        notes.notices.append(
            f"{member.label}: the numbers behind the characters are places in words; they are taken off"
        )
    for comments, rows in blocks:
        sentence = _sentence(member, rows, width[0][0], columns, placed, notes)
        if sentence is None:
            continue
        about = {key.strip(): value.strip() for key, _, value in (each.partition("=") for each in comments)}
        sentence.text = about.get("text")
        if again(about.get("sent_id"), ids):
            notes.mend(sentence.place, "the sent_id stands before, too; both are kept")
        yield sentence


def _are_running_text(widths: Counter[int], blocks: int) -> bool:
    """Whether lines between blanks are sentences, not rows: of many lengths, or of several and no empty line between them."""
    return len(widths) > 1 and (blocks == 1 or widths.most_common(1)[0][1] < LEAST_ALIKE * widths.total())


def blocks_of(lines: Sequence[str], tabs: bool) -> Iterator[Block]:
    """Sentences as their comments and their rows."""
    comments: list[str] = []
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            if rows:
                yield comments, rows
            comments, rows = ([], []) if rows else (comments, rows)
        elif not rows and line[0] == "#" and ("\t" not in line if tabs else COMMENT.match(line)):
            comments.append(line[1:])
        else:
            cells = line.split("\t") if tabs else [cell for cell in line.split(" ") if cell]
            if cells[0].strip() != DOCUMENT:
                rows.append((number, [cell.strip() for cell in cells]))
    if rows:
        yield comments, rows


@dataclass(frozen=True)
class _Columns:
    """Which column holds what, from 0."""

    word: int
    tag: int | None
    counted: int | None  # the numbers of the words

    @classmethod
    def of(
        cls,
        member: Member,
        blocks: Sequence[Block],
        width: int,
        tag_column: str | int | None,
        word_column: str | int | None,
        segmented: bool,
    ) -> "_Columns":
        whole = [(comments, [cells for _, cells in rows if len(cells) == width]) for comments, rows in blocks]
        cells = [row for _, rows in whole for row in rows]
        names = next(
            (
                each.partition("=")[2].lower().split()
                for comments, _ in whole
                for each in comments
                if each.strip().startswith("global.columns")
            ),
            [],
        )

        def numbered(wanted: str | int, setting: str) -> int:
            if str(wanted).lower() in names:
                return names.index(str(wanted).lower())
            if str(wanted).isdecimal() and 1 <= int(wanted) <= width:
                return int(wanted) - 1
            raise TextError(
                f"{member.label}: {setting} = {wanted!r}, but this file has {width} columns without names; say its number, "
                f"from 1 to {width}"
            )

        counts = width > 2 and sum(_counts([row[0] for row in rows]) for _, rows in whole) >= MOSTLY * len(whole)
        said = [at for at in range(int(counts), width) if any(row[at] not in FILLERS for row in cells)]
        word = numbered(word_column, "task.text_column") if word_column is not None else (said or [0])[0]
        tag = None
        if not segmented:
            spans = [at for at in said if all(SCHEME_TAG.fullmatch(row[at]) for row in cells[:SAMPLE])]
            tag = numbered(tag_column, "task.tag_column") if tag_column is not None else (spans or said or [0])[-1]
        if tag == word:
            raise TextError(f"{member.label}: column {word + 1} is the only one that says something; there are no tags")
        return cls(word, tag, 0 if counts else None)


def _counts(cells: Sequence[str]) -> bool:
    """Whether these are the numbers of words, tokens of several ("3-4") and empty nodes ("8.1") among them."""
    words = [cell for cell in cells if not re.fullmatch(r"\d+[-.]\d+", cell)]
    return bool(words) and words == [str(number) for number in range(1, len(words) + 1)]


def _are_placed(words: Sequence[str]) -> bool:
    """Whether words are single characters with the place of each in its word behind it."""
    return bool(words) and sum(PLACED.fullmatch(word) is not None for word in words) >= MOSTLY * len(words)


def _sentence(
    member: Member, rows: Sequence[Row], width: int, columns: _Columns, placed: bool, notes: Notes
) -> TaggedSentence | None:
    """The sentence of rows; None where it is left out, or holds nothing."""
    sentence = TaggedSentence(f"{member.label}:{rows[0][0]}")
    for line, cells in rows:
        place = f"{member.label}:{line}"
        if len(cells) != width:
            notes.refuse(place, f"a sentence in which a line has {len(cells)} columns where the others have {width}")
            return None
        if columns.counted is not None and not cells[columns.counted].isdecimal():
            continue  # "3-4", a token of several words, or "8.1", an empty node
        word = cells[columns.word]
        match = PLACED.fullmatch(word) if placed else None
        word = match[1] if match else word
        if not word:
            notes.mend(place, "a word is empty; the line is passed over")
            continue
        if columns.tag is not None:
            tag = cells[columns.tag]
            if not tag:
                notes.refuse(place, "a sentence in which a word has no tag")
                return None
            sentence.tags.append(tag)
        sentence.words.append(word)
        sentence.places.append(place)
    return sentence if sentence.words else None
