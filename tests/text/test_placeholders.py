"""Placeholders: what is one, what is not, and that a text comes back from its stretches."""

import pytest
from hypothesis import given, strategies as st

from inkstone.text.placeholders import MOST, has_words, masked, placeholders, shared


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Hi {name} and {{ user.x }}, ${total} %{n} {0} {}",
            ["{name}", "{{ user.x }}", "${total}", "%{n}", "{0}", "{}"],
        ),
        ("%s of %d, %1$s, %(who)s %.2f, %5d", ["%s", "%d", "%1$s", "%(who)s", "%.2f", "%5d"]),
        ("100% sure, 5% discount, 20%d", ["100", "20"]),
        ('a <b>bold</b> <a href="x">y</a><br/> 3 < 4 > 2', ["<b>", "</b>", '<a href="x">', "</a>", "<br/>"]),
        ("Tom &amp; Jerry&nbsp;&#8364;", ["&amp;", "&nbsp;", "&#8364;"]),
        ("see https://a.org/b?c=1, www.b.de. or me@c.co.uk.", ["https://a.org/b?c=1", "www.b.de", "me@c.co.uk"]),
        ("请看https://a.org/b。谢谢 http://a.org/页", ["https://a.org/b", "http://a.org/"]),
        ("1 of 25, 1,250.5 at 10:30 on 3/4/2020. 7", ["25", "1,250.5", "10:30", "3/4/2020"]),
        ("在2020年有１２个，B12 和 x86", ["2020"]),
        ("nothing here: a%b, {a\nb}", []),
    ],
)
def test_what_is_one(text, expected):
    assert placeholders(text) == expected


def test_those_that_both_sides_have_equally_often():
    assert shared("{a} {b} {b} 12", "{b} {a} 13 {b}") == ["{a}", "{b}"]
    assert shared("{a} {a}", "{a}") == []
    many = " ".join(f"{{n{n}}}" for n in range(MOST + 3))
    assert len(shared(many, many)) == MOST


@given(st.lists(st.sampled_from(["{a}", "%s", "12", " ", "ink", "墨", ".", "<b>", "\n", "http://a.b/c"]), max_size=12))
def test_a_text_comes_back_from_its_stretches(parts):
    text = "".join(parts)
    kept = list(dict.fromkeys(placeholders(text)))[:2]
    told = masked(text, kept)
    assert "".join(kept[part] if isinstance(part, int) else part for part in told) == text
    assert all(part for part in told if isinstance(part, str))


def test_whether_something_is_left_to_translate():
    assert has_words(["ink "]) and has_words([0, "墨"]) and not has_words([0, ": ", 1]) and not has_words([])
