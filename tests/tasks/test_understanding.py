"""What a person is told of a file of examples."""

from collections import Counter

from inkstone.tasks.understanding import Understanding


def told(**found):
    return Understanding("train", ["a.csv"], examples=100, characters=[10, 20, 30], **found).lines()


def test_languages_that_only_a_few_short_texts_were_taken_for_are_not_told():
    assert told(languages=Counter(en=93, ro=4, da=3))[1].endswith("longest 30; en 93%")
    assert told(languages=Counter(en=60, zh=40))[1].endswith("; en 60%, zh 40%")
    many = Counter({f"l{number}": 1 for number in range(26)})
    assert told(languages=many)[1].endswith("; l0 4%")  # one is told, whatever its share


def test_what_is_kept_and_what_is_left_out_are_told_apart():
    understanding = Understanding("train", ["a.csv"], examples=5)
    understanding.mend("a.csv:3", "the same text has other labels elsewhere; both are kept")
    understanding.refuse("a.csv:4", "the text is empty")
    assert understanding.lines()[1:] == [
        "train  1 row left out: the text is empty (a.csv:4)",
        "train  1 row doubtful: the same text has other labels elsewhere; both are kept (a.csv:3)",
    ]
