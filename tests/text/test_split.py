import lzma
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inkstone.errors import TextError
from inkstone.text import split as module
from inkstone.text.document import documents, drop
from inkstone.text.split import Split, split_documents, split_named


def prose(seed: int, words: int) -> str:
    generator = np.random.default_rng(seed)
    sentences = []
    while words > 0:
        length = min(int(generator.integers(6, 14)), words)
        sentences.append(" ".join(f"w{n}" for n in generator.integers(0, 3000, length)) + ".")
        words -= length
    paragraphs = [" ".join(sentences[start : start + 4]) for start in range(0, len(sentences), 4)]
    return "\n\n".join(paragraphs)


def train_texts(split: Split) -> list[str]:
    return [text for frame in split.train() for text in frame["text"]]


def split_of(texts: list[str], spill: Path, **options) -> Split:
    return split_documents([documents(texts)], spill=spill / "spill", **options)


@pytest.fixture
def many() -> list[str]:
    return [prose(seed, 60 + seed % 50) for seed in range(500)]


def test_by_document(many, tmp_path):
    split = split_of(many, tmp_path)
    train, held_out = train_texts(split), split.held_out["text"].to_list()
    assert split.how == "by document"
    assert sorted(train + held_out) == sorted(many)
    assert [text for text in many if text in set(train)] == train  # the order of the corpus
    assert 0.06 < split.held_out_bytes / (split.held_out_bytes + split.train_bytes) <= 0.12
    assert split.held_out_bytes == sum(len(text.encode()) for text in held_out)
    assert (split.train_documents, split.held_out_documents) == (len(train), len(held_out))


def test_the_seed_and_the_text_alone_decide(many, tmp_path):
    first = split_of(many, tmp_path)
    again = split_documents([documents(many[:200]), documents(many[200:])], spill=tmp_path / "again")
    backwards = split_of(many[::-1], tmp_path)
    other = split_of(many, tmp_path, seed=1)
    assert first.held_out["text"].to_list() == again.held_out["text"].to_list()
    assert set(first.held_out["text"]) == set(backwards.held_out["text"])
    assert set(first.held_out["text"]) != set(other.held_out["text"])


def test_dropped_rows_are_in_neither_part(many, tmp_path):
    frame = drop(documents(many), pl.col("id").str.ends_with("7"), "for the test")
    split = split_documents([frame], spill=tmp_path / "spill")
    assert len(train_texts(split)) + len(split.held_out) == 450


def test_held_out_has_a_ceiling(many, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_HELD_OUT", 5_000)
    monkeypatch.setattr(module, "LEAST_HELD_OUT", 1_000)
    assert 3_000 < split_of(many, tmp_path).held_out_bytes <= 5_000


def test_a_share_can_be_asked_for(many, tmp_path):
    split = split_of(many, tmp_path, share=0.3)
    assert 0.25 < split.held_out_bytes / sum(len(text) for text in many) <= 0.3
    for share in (0, -1, 0.95, 2):
        with pytest.raises(TextError, match="share"):
            split_of(many, tmp_path, share=share)


def test_one_file_gives_its_last_tenth(tmp_path):
    text = prose(0, 60_000)
    split = split_of([text], tmp_path)
    (train,) = train_texts(split)
    held_out = split.held_out["text"].item()
    assert split.how == "tail of each document"
    assert text == train + held_out
    assert train.endswith("\n\n")  # between paragraphs
    assert 0.095 < len(held_out) / len(text) < 0.105


def test_each_long_document_gives_a_tail(tmp_path):
    texts = [prose(seed, 4000) for seed in range(5)] + ["short\n" * 20]
    split = split_of(texts, tmp_path)
    assert len(split.held_out) == 5
    for text, train, tail in zip(texts, train_texts(split), split.held_out["text"], strict=False):
        assert text.startswith(train) and text.endswith(tail)
    assert train_texts(split)[5] == texts[5]


@pytest.mark.parametrize("size", [2_500, 5_000, 20_000])
@pytest.mark.parametrize("kind", ["prose", "chinese", "one line"])
def test_small_corpora_work(tmp_path, size, kind):
    words = prose(1, 4000)
    text = {
        "prose": words,
        "chinese": "".join(chr(0x4E00 + i * 7919 % 20000) for i in range(9000)),
        "one line": words.replace("\n", " "),
    }[kind]
    text = text.encode()[:size].decode(errors="ignore")
    split = split_of([text], tmp_path)
    assert split.held_out_bytes > 0.15 * size
    assert train_texts(split)[0] + split.held_out["text"].item() == text


def test_a_few_short_documents_are_split_whole(tmp_path):
    texts = [prose(seed, 80) for seed in range(12)]
    split = split_of(texts, tmp_path)
    assert split.how == "by document"
    assert 1 <= len(split.held_out) < 12
    assert sorted(train_texts(split) + split.held_out["text"].to_list()) == sorted(texts)


def test_too_little_text_is_refused_with_what_is_needed(tmp_path):
    with pytest.raises(TextError, match=r"only 45 bytes .* at least 2,000"):
        split_of(["One sentence. Another sentence. A third one."[:44] + "."], tmp_path)
    with pytest.raises(TextError, match="only 0 bytes"):
        split_documents([], spill=tmp_path / "spill")


def test_a_paragraph_of_the_tail_that_stands_in_train_goes(tmp_path):
    paragraphs = prose(3, 8000).split("\n\n")
    refrain = "This long paragraph stands in the middle and at the very end. " * 5
    text = "\n\n".join([*paragraphs[:50], refrain.strip(), *paragraphs[50:], refrain.strip(), "The end."])
    split = split_of([text], tmp_path)
    assert split.paragraphs_removed == 1
    assert "very end" not in split.held_out["text"].item()
    assert split.held_out["text"].item().endswith("The end.")
    assert sum(text.count("very end") for text in train_texts(split)) == 5


def test_lines_are_paragraphs_too(tmp_path):
    lines = [line.replace("\n", " ") for line in prose(4, 8000).split("\n\n")]
    long = "长" * 150 + "短" * 100
    split = split_of(["\n".join([lines[0], long, *lines[1:], long, "完。"])], tmp_path)
    assert split.paragraphs_removed == 1 and "长" not in split.held_out["text"].item()


def test_no_near_duplicate_crosses_where_none_were_removed_before(many, tmp_path):
    copies = [text.replace("w1", "W1", 1) + " and one more" for text in many]
    split = split_of(many + copies, tmp_path, deduplicated=False)
    assert split.near_duplicates_removed > 20
    stems = {text.lower()[:100] for text in train_texts(split)}
    assert not any(text.lower()[:100] in stems for text in split.held_out["text"])


def test_parts_larger_than_one_file(many, tmp_path, monkeypatch):
    whole = split_of(many, tmp_path)
    monkeypatch.setattr(module, "PART_BYTES", 20_000)
    parts = split_documents((documents(many[n : n + 50]) for n in range(0, 500, 50)), spill=tmp_path / "parts")
    assert len(list((tmp_path / "parts").iterdir())) > 3
    assert train_texts(parts) == train_texts(whole)


@pytest.mark.data
def test_tiny_shakespeare_is_split_as_usual(data_mirror, tmp_path):
    text = lzma.decompress((data_mirror / "tinyshakespeare/input.txt.xz").read_bytes()).decode()
    split = split_of([text], tmp_path)
    assert abs(len(train_texts(split)[0]) - 0.9 * len(text)) < 200
    assert split.paragraphs_removed == 0


def test_a_named_held_out_text_is_all_that_is_held_out(tmp_path):
    learned = [
        f"Chapter {number}. " + "The stone was wet and the ink was thick. " * 20 + str(number) for number in range(9)
    ]
    kept_aside = documents(["Quite another text. " * 30, "A second one, short."], "named")
    split = split_named([documents(learned)], [kept_aside], spill=tmp_path / "spill")
    assert split.how == "named"
    assert split.held_out["text"].to_list() == kept_aside["text"].to_list()
    assert [text for frame in split.train() for text in frame["text"]] == learned


def test_what_is_learned_is_taken_out_of_a_named_held_out_text(tmp_path):
    paragraph = "This paragraph of more than two hundred characters stands in both of the texts, word for word, " * 3
    learned = documents([paragraph + "\n\n" + "Filler that only the first text has. " * 80])
    named = documents(["New at the beginning of it.\n\n" + paragraph + "\n\nNew at the end of it."], "named")
    split = split_named([learned], [named], spill=tmp_path / "spill")
    assert split.paragraphs_removed == 1
    assert "both of the texts" not in split.held_out["text"][0] and "New at the end" in split.held_out["text"][0]
    with pytest.raises(TextError, match="also stands in the rest"):
        split_named([learned], [documents([paragraph], "named")], spill=tmp_path / "spill")
