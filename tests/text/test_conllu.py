"""CoNLL-U: every sentence comes back as written, whatever stands in its columns; what is wrong is named by its line."""

import lzma

import pytest
from hypothesis import given, strategies as st

from inkstone.errors import TextError
from inkstone.text.conllu import Sentence, Word, parse_conllu, read_conllu

# Any characters but those that end a line or a column; str.splitlines would cut at many more.
COLUMN = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), min_size=1, max_size=6)
WORDS = st.builds(Word, *[COLUMN] * 9)
COMMENTS = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=8)
SENTENCES = st.builds(Sentence, st.lists(WORDS, min_size=1, max_size=4), st.lists(COMMENTS, max_size=2))

SPANISH = """# sent_id = 1
# text = vámonos al mar
1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\tVERB\t_\tMood=Imp|Number=Plur\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\t_\tCase=Acc\t1\tobj\t_\t_
2.1\tvamos\tir\tVERB\t_\t_\t_\t_\t0:root\t_
3-4\tal\t_\t_\t_\t_\t_\t_\t_\t_
3\ta\ta\tADP\t_\t_\t5\tcase\t_\t_
4\tel\tel\tDET\t_\t_\t5\tdet\t_\t_
5\tmar\tmar\tNOUN\t_\t_\t1\tobl\t_\tSpaceAfter=No

"""


@given(st.lists(SENTENCES, max_size=4))
def test_what_was_written_is_read(sentences):
    text = "".join(sentence.text() for sentence in sentences)
    assert list(parse_conllu(text.split("\n"), "x")) == sentences


@given(st.text(st.sampled_from("1234-.\t_a\n# "), max_size=60))
def test_any_lines_are_read_or_refused_by_line(text):
    try:
        sentences = list(parse_conllu(text.split("\n"), "x.conllu"))
    except TextError as error:
        assert str(error).startswith("x.conllu:")
    else:
        assert all(sentence.words for sentence in sentences)


def test_multiword_tokens_and_empty_nodes_are_passed_over():
    (sentence,) = parse_conllu(SPANISH.split("\n"), "x")
    assert sentence.forms == ["vamos", "nos", "a", "el", "mar"]
    assert sentence.column("upos") == ["VERB", "PRON", "ADP", "DET", "NOUN"]
    assert sentence.words[1].head == "1" and sentence.words[4].misc == "SpaceAfter=No"
    assert sentence.comments == ["sent_id = 1", "text = vámonos al mar"]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_plain_and_packed(tmp_path, packed, ending):
    raw = (SPANISH * 3).rstrip().replace("\n", ending).encode()
    path = tmp_path / ("x.conllu.xz" if packed else "x.conllu")
    path.write_bytes(lzma.compress(raw) if packed else raw)
    assert [sentence.forms[-1] for sentence in read_conllu(path)] == ["mar"] * 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1\tink", "2 columns"),
        ("2\tink" + "\t_" * 8, "'2' where 1 is next"),
        ("one\tink" + "\t_" * 8, "'one' where 1 is next"),
        ("1\t" + "\t_" * 8, "form of the word is empty"),
        ("1\tink" + "\t_" * 8 + "\n# late", ":3: a comment inside"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, says):
    path = tmp_path / "x.conllu"
    path.write_text(f"# first\n{line}\n", encoding="utf-8")
    with pytest.raises(TextError) as caught:
        list(read_conllu(path))
    assert says in str(caught.value) and f"{path}:" in str(caught.value)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "x.conllu.xz"
    path.write_bytes(lzma.compress(SPANISH.encode() * 50)[:-20])
    with pytest.raises(TextError, match=r"x\.conllu\.xz"):
        list(read_conllu(path))
    with pytest.raises(TextError, match="missing"):
        list(read_conllu(tmp_path / "missing"))


@pytest.mark.data
def test_the_english_web_treebank(data_mirror):
    sentences = list(read_conllu(data_mirror / "ud-en-ewt" / "en_ewt-ud-dev.conllu.xz"))
    assert len(sentences) == 2001
    assert sum(len(sentence.words) for sentence in sentences) == 25147
