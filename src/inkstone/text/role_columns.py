"""Semantic roles in columns, a word a line and an empty line after a sentence, in two forms:

brackets    a column that names the sense of each predicate ("_" or "-" elsewhere), after it a column for each predicate of
            the sentence, "(ARG0*" where a role begins and ")" where it ends (CoNLL-2005, PropBank)
spans       CoNLL-U Plus of Universal Propositions: columns UP:PRED and UP:ARGSPANS ("A0:14-14|A1:3-7")
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inkstone.errors import TextError
from inkstone.text.member import Member
from inkstone.text.predicates import VERB, Predicate, Role, RoleSentence
from inkstone.text.tag_columns import FILLERS, MOSTLY, Block, Row, blocks_of, has_tabs
from inkstone.text.tagged_words import Notes, again

CELL = re.compile(r"((?:\([^()*\s]+)*)\*(\)*)")
SPAN = re.compile(r"([^:|]+):(\d+)(?:-(\d+))?")
SAMPLE = 200  # sentences by which the columns are told
FORM = ("form", "word", "words", "token")
SENSE = ("roleset", "sense", "frameset", "predicate")


@dataclass(frozen=True)
class _Columns:
    """Which column holds what, from 0; `spans` of Universal Propositions, else brackets follow the senses."""

    word: int
    sense: int
    spans: int | None

    @classmethod
    def of(cls, member: Member, blocks: Sequence[Block], word_column: str | int | None) -> "_Columns":
        rows = [[cells for _, cells in own] for _, own in blocks]
        names = _names(blocks)
        counts = sum(all(cells[0] == str(n) for n, cells in enumerate(own, 1)) for own in rows) >= MOSTLY * len(rows)
        word = next((names.index(name) for name in FORM if name in names), int(counts))
        if word_column is not None:
            wanted = str(word_column).lower()
            if wanted not in names and not (wanted.isdecimal() and 1 <= int(wanted) <= len(rows[0][0])):
                raise TextError(f"{member.label}: task.text_column = {word_column!r} is no column of this file")
            word = names.index(wanted) if wanted in names else int(wanted) - 1
        if any(name.endswith("argspans") for name in names):
            spans = next(at for at, name in enumerate(names) if name.endswith("argspans"))
            sense = next((at for at, name in enumerate(names) if name.endswith(":pred")), None)
            if sense is None:
                raise TextError(f"{member.label}: a column of ARGSPANS, but none of PRED, which names the predicates")
            return cls(word, sense, spans)
        named = next((names.index(name) for name in SENSE if name in names), None)
        if named is not None:
            return cls(word, named, None)
        sample = rows[:SAMPLE]
        for sense in range(1, max(len(cells) for own in sample for cells in own)):
            if sense != word and sum(_brackets_follow(own, sense) for own in sample) > len(sample) / 2:
                return cls(word, sense, None)
        raise TextError(
            f"{member.label}: no roles. They are read from columns with the sense of each predicate and after it a column "
            "of brackets for each, from CoNLL-U Plus with UP:PRED and UP:ARGSPANS, and from JSON lines"
        )


def _names(blocks: Sequence[Block]) -> list[str]:
    """The columns that a comment of the file names, in lower case."""
    for comments, _ in blocks:
        for comment in comments:
            key, _, told = comment.partition("=")
            if key.strip().lower() in ("global.columns", "columns"):
                return told.lower().split()
    return []


def _brackets_follow(rows: Sequence[Sequence[str]], sense: int) -> bool:
    """Whether as many columns of brackets follow as this one has predicates."""
    said = sum(len(cells) > sense and cells[sense] not in FILLERS for cells in rows)
    return all(
        len(cells) == sense + 1 + said and all(CELL.fullmatch(cell) for cell in cells[sense + 1 :]) for cells in rows
    )


def sentences_in_columns(
    member: Member, lines: Sequence[str], notes: Notes, word_column: str | int | None, ids: set[str]
) -> Iterator[RoleSentence]:
    """The sentences of a file, given as lines; `ids` are the sent_ids that were seen. Raises TextError where there are no roles."""
    blocks = [block for block in blocks_of(lines, tabs=has_tabs(lines)) if block[1]]
    if not blocks:
        raise TextError(f"{member.label}: no words")
    columns = _Columns.of(member, blocks, word_column)
    notes.columns = {"words": f"column {columns.word + 1}", "predicates": f"column {columns.sense + 1}"}
    for comments, rows in blocks:
        place = f"{member.label}:{rows[0][0]}"
        told = {key.strip(): value.strip() for key, _, value in (each.partition("=") for each in comments)}
        if again(told.get("sent_id"), ids):
            notes.mend(place, "the sent_id stands before, too; both are kept")
        rows = [row for row in rows if columns.word == 0 or not re.fullmatch(r"\d+[-.]\d+", row[1][0])]
        try:
            widest = max(columns.word, columns.sense, columns.spans or 0)
            short = next((line for line, cells in rows if len(cells) <= widest or not cells[columns.word]), None)
            if short is not None:
                raise _Doubt(short, "a line without a word or with too few columns")
            predicates = _bracketed(rows, columns) if columns.spans is None else _spanned(rows, columns)
        except _Doubt as doubt:
            notes.refuse(f"{member.label}:{doubt.line}", f"a sentence with {doubt.reason}")
            continue
        yield RoleSentence(place, [cells[columns.word] for _, cells in rows], predicates, told.get("text"))


class _Doubt(Exception):
    """A sentence that cannot be read, with the line that shows it."""

    def __init__(self, line: int, reason: str):
        super().__init__(reason)
        self.line, self.reason = line, reason


def _bracketed(rows: Sequence[Row], columns: _Columns) -> list[Predicate]:
    first = columns.sense + 1
    senses = [(at, cells[columns.sense]) for at, (_, cells) in enumerate(rows) if cells[columns.sense] not in FILLERS]
    for line, cells in rows:
        if len(cells) != first + len(senses):
            raise _Doubt(line, f"{len(senses)} predicates, but a line has {len(cells) - first} columns of roles")
    predicates = []
    for number, (at, sense) in enumerate(senses):
        spans = _spans_of_brackets([(line, cells[first + number]) for line, cells in rows])
        own = next((span for span in spans if span.label == VERB), Role(at, at + 1, VERB))
        roles = tuple(sorted(span for span in spans if span.label != VERB))
        predicates.append(Predicate(own.start, own.stop, roles, sense))
    return predicates


def _spans_of_brackets(cells: Sequence[tuple[int, str]]) -> list[Role]:
    """The spans of one column, given as lines and cells."""
    spans: list[Role] = []
    begun: tuple[int, str] | None = None
    for at, (line, cell) in enumerate(cells):
        match = CELL.fullmatch(cell)
        if match is None:
            raise _Doubt(line, f"{cell!r} where brackets are read, such as (ARG0*, * and *)")
        opened = match[1].split("(")[1:]
        if len(opened) + (begun is not None) > 1:
            raise _Doubt(line, "a role that begins inside another one of the same predicate")
        if opened:
            begun = at, opened[0]
        if match[2]:
            if begun is None or len(match[2]) > 1:
                raise _Doubt(line, "a bracket that closes what was not opened")
            spans.append(Role(begun[0], at + 1, begun[1]))
            begun = None
    if begun is not None:
        raise _Doubt(cells[begun[0]][0], "a bracket that is not closed")
    return spans


def _spanned(rows: Sequence[Row], columns: _Columns) -> list[Predicate]:
    assert columns.spans is not None
    predicates = []
    for at, (line, cells) in enumerate(rows):
        if cells[columns.sense] in FILLERS:
            if cells[columns.spans] not in FILLERS:
                raise _Doubt(line, "roles of a word that is no predicate")
            continue
        roles = []
        for told in cells[columns.spans].split("|") if cells[columns.spans] not in FILLERS else ():
            match = SPAN.fullmatch(told)
            if match is None:
                raise _Doubt(line, f"{told!r} where a role and its words are read, such as A0:3-5")
            first, last = int(match[2]), int(match[3] or match[2])
            if not 1 <= first <= last <= len(rows):
                raise _Doubt(line, f"the role {told}, which leaves its sentence of {len(rows)} words")
            roles.append(Role(first - 1, last, match[1]))
        predicates.append(Predicate(at, at + 1, tuple(sorted(roles)), cells[columns.sense]))
    return predicates
