"""Pairs of parallel text: languages told and checked, and bad rows named, counted, mended or left out."""

import pytest

from inkstone.errors import TextError
from inkstone.tasks.parallel_pairs import pairs_of
from inkstone.tasks.understanding import Understanding
from inkstone.text.parallel import Parallel

ENGLISH = [
    "The old man grinds the ink on a stone.",
    "She buys paper and a new brush in the small shop.",
    "We have been waiting for you since the morning.",
    "The children are playing in the garden with their dog.",
    "He wrote a long letter to his brother yesterday.",
    "They want to know when the train from the city arrives.",
]
GERMAN = [
    "Der alte Mann reibt die Tusche auf einem Stein.",
    "Sie kauft Papier und einen neuen Pinsel in dem kleinen Laden.",
    "Wir haben seit dem Morgen auf dich gewartet.",
    "Die Kinder spielen im Garten mit ihrem Hund.",
    "Er hat gestern einen langen Brief an seinen Bruder geschrieben.",
    "Sie wollen wissen, wann der Zug aus der Stadt ankommt.",
]
CHINESE = [
    "老人在砚台上磨墨。",
    "她在小店里买纸和新毛笔。",
    "我们从早上起就在等你。",
    "孩子们和狗在花园里玩。",
    "他昨天写信。",
    "他们想知道火车何时到。",
]


def rows(first, second, codes=("en", "de"), times=4):
    """The same sentences several times, so that their words are known."""
    found = [((codes[0], a), (codes[1], b)) for a, b in zip(first, second, strict=True)] * times
    return [Parallel(f"f:{number}", sides) for number, sides in enumerate(found, 1)]


def checked(given):
    understanding = Understanding("train", ["f"])
    return pairs_of(given, understanding), understanding


@pytest.mark.parametrize(("other", "code"), [(GERMAN, "de"), (CHINESE, "zh")])
def test_good_pairs_are_left_as_they_are_and_languages_are_told_by_the_texts(other, code):
    for codes in (("en", code), (None, None)):
        pairs, understanding = checked(rows(ENGLISH, other, codes))
        assert not understanding.refused and not understanding.mended and not understanding.notices
        assert [(p.source, p.targets, p.direction) for p in pairs[:6]] == [
            (a, (b,), ("en", code)) for a, b in zip(ENGLISH, other, strict=True)
        ]


@pytest.mark.parametrize(("other", "code"), [(GERMAN, "de"), (CHINESE, "zh")])
def test_a_swapped_row_is_swapped_back(other, code):
    given = rows(ENGLISH, other, ("en", code))
    given.append(Parallel("f:bad", (("en", other[3]), (code, ENGLISH[3]))))
    pairs, understanding = checked(given)
    assert understanding.mended == {f"en and {code} are swapped; read the other way around": ["f:bad"]}
    assert (pairs[-1].source, pairs[-1].targets, pairs[-1].direction) == (ENGLISH[3], (other[3],), ("en", code))


def test_files_whose_names_are_swapped_are_told():
    pairs, understanding = checked(rows(GERMAN, ENGLISH, ("en", "de")))
    assert pairs[0].direction == ("de", "en") and not understanding.mended
    assert understanding.notices == ["f: the names of the languages are swapped; the texts are de and en"]


def test_a_language_that_is_called_otherwise_is_told():
    _, understanding = checked(rows(ENGLISH, GERMAN, ("en", "nl")))
    assert understanding.notices == ["f: texts that are called nl look like de; they are read as nl"]


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("", "Der alte Mann.", "the side in en is empty"),
        ("The old man.", " ", "the side in de is empty"),
        ("", "", "both sides are empty"),
        (ENGLISH[1], ENGLISH[1], "both sides are the same text"),
        (ENGLISH[1], ENGLISH[4], "both sides are in en"),
        (ENGLISH[1] * 8, "Ja.", "the side in en is more than 5 times too long for the other"),
        ("Yes.", GERMAN[1] * 8, "the side in de is more than 5 times too long for the other"),
    ],
)
def test_rows_that_cannot_be_are_left_out_and_named(source, target, reason):
    given = rows(ENGLISH, GERMAN)
    given.insert(2, Parallel("f:bad", (("en", source), ("de", target))))
    pairs, understanding = checked(given)
    assert understanding.refused == {reason: ["f:bad"]} and len(pairs) == len(given) - 1


def test_what_is_usual_is_not_extreme():
    """Chinese is far shorter than English throughout; names are the same in both."""
    given = rows(["A rather long sentence about ink and stones."] * 9, ["墨砚。"] * 9, ("en", "zh"), 1)
    given.append(Parallel("f:10", (("en", "Tom"), ("zh", "Tom"))))
    assert not checked(given)[1].refused


def test_a_document_with_as_many_lines_on_both_sides_is_pairs_of_lines():
    given = [
        *rows(ENGLISH, GERMAN),
        Parallel("f:doc", (("en", "\n\n".join(ENGLISH[:3])), ("de", "\n".join(GERMAN[:3])))),
    ]
    given.append(Parallel("f:other", (("en", "\n".join(ENGLISH[:3])), ("de", " ".join(GERMAN[:3])))))
    pairs, understanding = checked(given)
    assert [(p.source, p.targets[0]) for p in pairs[-4:-1]] == list(zip(ENGLISH[:3], GERMAN[:3], strict=True))
    assert pairs[-1].source == "\n".join(ENGLISH[:3])
    assert list(understanding.mended.values()) == [["f:doc"]]


def test_several_languages_in_a_row_and_several_files():
    three = [
        Parallel(f"a:{n}", (("en", a), ("de", b), ("zh", c)))
        for n, (a, b, c) in enumerate(zip(ENGLISH, GERMAN, CHINESE, strict=True))
    ]
    pairs, _ = checked([*three, *rows(GERMAN, CHINESE, ("de", "zh"))])
    assert {p.direction for p in pairs} == {("en", "de"), ("en", "zh"), ("de", "zh")}
    assert len(pairs) == 6 * 2 + 24


def test_a_side_without_letters_has_no_language():
    with pytest.raises(TextError, match="the language of a side cannot be told"):
        checked([Parallel(f"f:{n}", ((None, "12 34"), (None, "Tinte"))) for n in range(5)])
