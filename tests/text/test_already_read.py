"""Documents that were read before: the same ones, and those whose beginning and end are known."""

from inkstone.text.already_read import REASON, AlreadyRead
from inkstone.text.document import documents

LONG = "".join(f"Line {number} of a long document, {number * number}.\n" for number in range(120))
HEAD, TAIL = LONG[: len(LONG) * 9 // 10], LONG[len(LONG) * 9 // 10 :].lstrip("\n")
MORE = "".join(f"This was written later, {number}.\n" for number in range(30))
KNOWN = ["ink", "墨", "stone and paper", HEAD, TAIL]


def known(cut: bool = True) -> AlreadyRead:
    sizes = [len(text.encode()) for text in KNOWN]
    return AlreadyRead(sizes, KNOWN.__getitem__, (lambda number: KNOWN[number][:40]) if cut else None)


def test_the_same_text_is_known_and_one_of_the_same_length_is_not():
    frame = documents(["ink", "ank", "墨", "ink.", "stone and paper", "another text"])
    found = known(cut=False)
    marked = found.mark(frame)
    assert marked["dropped"].to_list() == [REASON, None, REASON, None, REASON, None]
    assert marked["text"].to_list() == frame["text"].to_list() and marked.schema == frame.schema
    assert (found.documents, found.bytes) == (3, 3 + 3 + 15)


def test_rows_that_were_dropped_before_keep_their_reason():
    frame = documents(["ink", "new"]).with_columns(dropped=documents(["a", "b"])["id"])
    assert known().mark(frame)["dropped"].to_list() == frame["dropped"].to_list()


def test_a_document_that_was_cut_is_known_whole():
    assert known().unread(LONG) == ""
    assert known().unread(HEAD + "\n" + TAIL) == ""
    assert known(cut=False).unread(LONG) == LONG  # nobody said that it was cut


def test_what_follows_a_known_document_is_new():
    assert known().unread(LONG + "\n" + MORE) == MORE
    found = known()
    marked = found.mark(documents([LONG + "\n" + MORE, "something else"]))
    assert marked["text"].to_list() == [MORE, "something else"] and marked["dropped"].to_list() == [None, None]
    assert (found.documents, found.bytes) == (1, len(LONG) + 1)
    assert known().unread(LONG + "\nshort") == ""


def test_an_end_that_is_not_as_it_was_is_no_new_text():
    """It may be what was kept aside: to learn from it would spoil the score."""
    assert known().unread(HEAD + TAIL.replace("Line 115 ", "Lime 115 ")) == ""
    assert known().unread(HEAD + MORE * 40) == HEAD + MORE * 40  # most of it is new


def test_a_short_document_at_the_beginning_of_a_longer_one_is_chance():
    assert known().unread("stone and paper are what remains") == "stone and paper are what remains"
