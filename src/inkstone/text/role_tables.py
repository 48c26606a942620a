"""Semantic roles in files: sentences with their predicates, and of each predicate the spans that play a role.

    columns     a word a line, in one of the two forms of `role_columns.py`: brackets as of PropBank and CoNLL-2005, or spans
                as of Universal Propositions
    JSON        {"tokens": [...], "predicates": [{"tokens": [3, 4], "roles": [{"tokens": [0, 2], "label": "ARG0"}]}]}, or a
                "text" with "start" and "end" in characters in place of the tokens, or {"words": [...], "verbs": [{"tags": [...]}]}

What is doubtful is told with its file and line.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from inkstone.errors import TextError
from inkstone.text import json_records
from inkstone.text.predicates import RoleSentence
from inkstone.text.records import form_of, members
from inkstone.text.role_columns import sentences_in_columns
from inkstone.text.role_records import roles_of_record
from inkstone.text.tagged_words import Notes, again


def read_roles(
    sources: Sequence[str | Path], notes: Notes, *, word_column: str | int | None = None
) -> Iterator[RoleSentence]:
    """The sentences of files, in a fixed order; `word_column` is a name of the header or a number from 1.

    Raises TextError for a file that holds no roles in any of these forms.
    """
    ids: set[str] = set()
    for member, name in members(sources, notes.reading):
        form = form_of(member, name)
        notes.reading.formats[form] += 1
        if form == "json":
            notes.columns = {"words": "tokens or text", "roles": "predicates"}
            for line, record in json_records.records(member):
                place = f"{member.label}:{line}"
                if again(record.get("id"), ids):
                    notes.mend(place, "the id stands before, too; both are kept")
                sentence = roles_of_record(record, place, notes, word_column)
                if sentence is not None:
                    yield sentence
        elif form in ("text", "tsv"):
            lines = [line.rstrip("\r") for line in b"".join(member.utf8()).decode().split("\n")]
            yield from sentences_in_columns(member, lines, notes, word_column, ids)
        else:
            raise TextError(f"{member.label}: {form}, but roles are read from PropBank columns and JSON lines")
