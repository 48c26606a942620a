"""What a person is told of a file of examples."""

from collections import Counter

from inkstone.tasks.classify import Classify
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


def test_lines_in_another_encoding_are_told_with_their_places_and_their_number(tmp_path):
    rows = [f"review number {number},good\n".encode() for number in range(40)]
    rows += ["今天天气很好，我们去公园走走。,good\n".encode("gb18030"), "这部电影很不错，值得一看。,bad\n".encode()] * 6
    (tmp_path / "mixed.csv").write_bytes(b"text,label\n" + b"".join(rows))
    understanding = Understanding("train", ["mixed.csv"])
    examples = Classify().read([str(tmp_path / "mixed.csv")], understanding)
    assert {example.first for example in examples[40:]} == {
        "今天天气很好，我们去公园走走。",
        "这部电影很不错，值得一看。",
    }
    places = ", ".join(f"{tmp_path}/mixed.csv:{line}" for line in (43, 45, 47, 49, 51))
    assert understanding.faults() == [
        f"6 lines in another encoding than their file, each read as what it is ({places} and 1 more)"
    ]
    assert understanding.to_dict()["encodings"] == understanding.faults()


def test_bytes_that_no_encoding_knows_are_told_with_their_line(tmp_path):
    rows = ["今天天气很好，我们去公园走走。,good\n".encode()] * 20
    rows[6] = rows[6][:3] + rows[6][4:]
    (tmp_path / "damaged.csv").write_bytes(b"text,label\n" + b"".join(rows))
    understanding = Understanding("train", ["damaged.csv"])
    Classify().read([str(tmp_path / "damaged.csv")], understanding)
    told = [fault for fault in understanding.faults() if "U+FFFD" in fault]
    assert told == [f"2 bytes unknown to the encoding, now U+FFFD (first in {tmp_path}/damaged.csv:8)"]
