"""What is spoken of a written text."""

from hypothesis import given, strategies as st

from inkstone.text.spoken import as_spoken, words_of


def test_marks_that_nobody_speaks_are_left_out():
    assert as_spoken("It's 3,500 — or 3.5? (No: “five”.)") == "it's 3,500 or 3.5 no five"
    assert (
        as_spoken("‘Ink’, he said…") == "ink he said" and as_spoken("ＡＢＣ，墨！") == "abc 墨" and as_spoken("…") == ""
    )


@given(st.text())
def test_words_are_the_text_itself(text):
    assert "".join(words_of(text)) == text


@given(st.text())
def test_spoken_text_stays_as_it_is(text):
    once = as_spoken(text)
    assert as_spoken(once) == once and once == once.strip()
