"""Stop strings against a reader that looks at the text character by character."""

import itertools

from hypothesis import given, settings, strategies as st

from inkstone.inference.stop_strings import StopStrings

letters = st.text(alphabet="ab\n", max_size=30)
stops = st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), max_size=3)


def cut(text: str, stops: list[str]) -> tuple[str, bool]:
    for end in range(1, len(text) + 1):
        matching = [stop for stop in stops if text[:end].endswith(stop)]
        if matching:
            return text[: end - len(max(matching, key=len))], True
    return text, False


@given(letters, stops, st.lists(st.integers(0, 30)))
@settings(deadline=None, max_examples=400)
def test_the_cut_does_not_depend_on_the_pieces(text, stops, borders):
    gate = StopStrings(tuple(stops))
    places = sorted({min(border, len(text)) for border in borders} | {0, len(text)})
    given_out = "".join(gate.push(text[start:end]) for start, end in itertools.pairwise(places))
    expected, found = cut(text, stops)
    assert expected.startswith(given_out)  # nothing was given out that had to be taken back
    assert (given_out + gate.finish(), gate.found) == (expected, found)


def test_text_is_held_back_only_while_a_stop_string_can_begin_in_it():
    gate = StopStrings(("\nUser:",))
    assert [gate.push(piece) for piece in ("Hi", "\n", "Us", "ed", "\n\nUser", ":")] == [
        "Hi",
        "",
        "",
        "\nUsed",
        "\n",
        "",
    ]
    assert gate.found
