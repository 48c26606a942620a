"""Tagged words in every form that is read, and every fault of them: named by file and line, mended or left out."""

import json

import pytest

from inkstone.errors import TextError
from inkstone.tasks.understanding import Understanding
from inkstone.text.tag_tables import read_tagged

CONLLU = """# sent_id = 1
# text = I can't
1\tI\tI\tPRON\tPRP\tCase=Nom\t2\tnsubj\t_\t_
2-3\tcan't\t_\t_\t_\t_\t_\t_\t_\t_
2\tca\tcan\tAUX\tMD\t_\t0\troot\t_\t_
3\tn't\tnot\tPART\tRB\t_\t2\tadvmod\t_\t_

# sent_id = 2
1\tGo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
"""


def read(tmp_path, text, name="data.txt", **how):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    notes = Understanding("train", [str(path)])
    return list(read_tagged([str(path)], notes, **how)), notes


def lines_of(notes, kind):
    return {reason: [place.rpartition(":")[2] for place in places] for reason, places in getattr(notes, kind).items()}


def test_conllu_gives_the_column_that_is_asked_for(tmp_path):
    found, notes = read(tmp_path, CONLLU, "data.conllu")
    assert [(s.words, s.tags) for s in found] == [(["I", "ca", "n't"], ["PRON", "AUX", "PART"]), (["Go"], ["VERB"])]
    assert found[0].text == "I can't" and [s.place.rpartition(":")[2] for s in found] == ["3", "9"]
    assert notes.columns == {"words": "form", "tags": "upos"}
    assert read(tmp_path, CONLLU, "data.conllu", tag_column="xpos")[0][1].tags == ["VB"]
    assert read(tmp_path, CONLLU, "data.txt", tag_column="feats")[0][0].tags == ["Case=Nom", "_", "_"]
    assert read(tmp_path, CONLLU, "data.conllu", segmented=True)[0][1].tags == []


def test_faults_of_conllu(tmp_path):
    found, notes = read(tmp_path, CONLLU.replace("VERB", "_").replace("sent_id = 2", "sent_id = 1"), "data.conllu")
    assert len(found) == 1 and lines_of(notes, "refused") == {"a word has no upos": ["9"]}
    assert lines_of(notes, "mended") == {"the sent_id stands before, too; both are kept": ["9"]}
    with pytest.raises(TextError, match=r"data.conllu:3: 9 columns"):
        read(tmp_path, CONLLU.replace("nsubj\t_", "nsubj"), "data.conllu")
    with pytest.raises(TextError, match=r"task.tag_column = 'pos'.*did you mean '[ux]pos'"):
        read(tmp_path, CONLLU, "data.conllu", tag_column="pos")


@pytest.mark.parametrize("gap", ["\t", " ", "  "])
def test_columns_between_tabs_or_blanks(tmp_path, gap):
    rows = [("-DOCSTART-", "-X-", "O"), None, ("New", "NNP", "B-LOC"), ("York", "NNP", "I-LOC"), None, ("#", "NN", "O")]
    text = "\n".join("" if row is None else gap.join(row) for row in rows)
    found, notes = read(tmp_path, text)
    assert [(s.words, s.tags) for s in found] == [(["New", "York"], ["B-LOC", "I-LOC"]), (["#"], ["O"])]
    assert [s.place_of(1).rpartition(":")[2] for s in found[:1]] == ["4"]
    assert notes.columns == {"words": "column 1", "tags": "column 3"}
    assert read(tmp_path, text, tag_column=2)[0][0].tags == ["NNP", "NNP"]


def test_a_file_of_wnut_parts_sentences_with_a_tab(tmp_path):
    found, notes = read(tmp_path, "#tag\tO\nEmpire\tB-location\n\t\nit\tO\n")
    assert [s.words for s in found] == [["#tag", "Empire"], ["it"]] and not notes.refused and not notes.mended


def test_a_file_of_weibo_loses_the_places_in_words_with_a_notice(tmp_path):
    found, notes = read(tmp_path, "节0\tO\n目1\tO\n20\tO\np10\tB-PER.NAM\n", "weibo.conll")
    assert found[0].words == ["节", "目", "2", "p"] and "taken off" in notes.notices[0]


def test_a_file_of_universal_ner_counts_its_words(tmp_path):
    rows = "1\t看\tO\t-\t-\n2\t北京\tB-LOC\t-\tlinpq\n"  # the last column says who annotated
    found, notes = read(tmp_path, f"# sent_id = a\n# text = 看北京\n{rows}\n# sent_id = b\n{rows}", "data.iob2")
    assert [(s.words, s.tags) for s in found] == [(["看", "北京"], ["O", "B-LOC"])] * 2
    assert found[0].text == "看北京" and notes.columns == {"words": "column 2", "tags": "column 3"}


def test_columns_with_names(tmp_path):
    text = "# global.columns = ID FORM NER MISC\n1\tAnna\tB-PER\tx\n2\tink\tO\ty\n"
    assert read(tmp_path, text, "data.conllup", tag_column="ner")[0][0].tags == ["B-PER", "O"]


def test_faults_of_columns(tmp_path):
    text = "a\tX\nb\tY\tZ\nc\tX\n\nd\t\ne\tX\n\n\u3000\tX\nf\tX\n\n" + "g\tX\n" * 9
    found, notes = read(tmp_path, text)
    assert [s.words for s in found] == [["f"], ["g"] * 9]
    assert lines_of(notes, "refused") == {
        "a sentence in which a line has 3 columns where the others have 2": ["2"],
        "a sentence in which a word has no tag": ["5"],
    }
    assert lines_of(notes, "mended") == {"a word is empty; the line is passed over": ["8"]}


@pytest.mark.parametrize(
    "text, how, said",
    [
        ("just words\n\nin lines of three\n" * 3, {"tag_column": 9}, "task.tag_column = 9.*from 1 to"),
        ("a\nb\n", {}, "one column"),
        ("今天 天气 很 好\n我们 去 公园 走走\n他 来\n", {}, "2 to 4 words between blanks, .* --set task.segment=true"),
        ("我 爱 北京\n\n他 来\n\n天 安门 很 大\n", {}, "--set task.segment=true"),
        ("a\t-\nb\t-\n", {}, "column 1 is the only one that says something"),
        ("\n \n", {}, "empty file"),
        (b"PK\x03\x04\x00\x00\x00", {}, "binary|archive|damaged|no record"),
    ],
)
def test_files_without_tags_are_refused(tmp_path, text, how, said):
    with pytest.raises(TextError, match=said):
        read(tmp_path, text, **how)


def test_a_csv_is_refused_by_name(tmp_path):
    with pytest.raises(TextError, match=r"data.csv: csv, but tagged words are read from CoNLL-U"):
        read(tmp_path, "word,tag\na,X\n", "data.csv")


def test_records_of_words_and_of_spans(tmp_path):
    records = [
        {"id": 1, "tokens": ["New", "York"], "ner_tags": ["B-LOC", "I-LOC"]},
        {"id": 2, "text": "in New York ", "spans": [{"start": 3, "end": 12, "label": "LOC"}]},
        {"id": 2, "text": "Anna", "label": [[0, 4, "PER"]]},
        {"words": ["a", " "], "tags": [1, 2]},
    ]
    found, notes = read(tmp_path, "\n".join(map(json.dumps, records)), "data.jsonl")
    assert (found[0].words, found[0].tags) == (["New", "York"], ["B-LOC", "I-LOC"])
    assert (found[1].text, found[1].spans) == ("in New York ", [(3, 11, "LOC")])
    assert found[2].spans == [(0, 4, "PER")] and (found[3].words, found[3].tags) == (["a"], ["1"])
    assert lines_of(notes, "mended") == {
        "a span has blanks at its ends; they are no part of it": ["2"],
        "the id stands before, too; both are kept": ["3"],
        "a word is empty; it is passed over": ["4"],
    }


@pytest.mark.parametrize(
    "record, reason",
    [
        ({"tokens": ["a", "b"], "tags": ["X"]}, "more or fewer tags than words"),
        ({"tokens": ["a", 3], "tags": ["X", "Y"]}, "no strings"),
        ({"tokens": ["a"]}, "without a list of tags"),
        ({"tokens": [""], "tags": ["X"]}, "without words"),
        ({"text": "  ", "spans": []}, "neither a list of words nor a text"),
        ({"text": "abc"}, "without a list of spans"),
        ({"text": "abc", "spans": [{"start": 1, "end": 9, "label": "X"}]}, "leaves its text"),
        ({"text": "abc", "spans": [{"start": 2, "end": 2, "label": "X"}]}, "empty or leaves"),
        ({"text": "abc", "spans": [{"start": "0", "end": 2, "label": "X"}]}, "not {start, end, label}"),
        ({"text": "abc", "spans": [[0, 2]]}, "not {start, end, label}"),
        ({"text": "abc", "spans": [{"start": 0, "end": 2, "label": "X", "text": "bc"}]}, "not what stands there"),
        ({"text": "abc", "spans": [[0, 2, "X"], [1, 3, "Y"]]}, "overlap"),
    ],
)
def test_faults_of_records(tmp_path, record, reason):
    good = {"tokens": ["a"], "tags": ["X"]}
    found, notes = read(tmp_path, json.dumps(good) + "\n" + json.dumps(record), "data.jsonl")
    assert len(found) == 1
    ((told, places),) = notes.refused.items()
    assert reason in told and places[0].endswith("data.jsonl:2")


def test_segmented_lines_and_segmented_columns(tmp_path):
    found, _ = read(tmp_path, "我\u3000爱  北京\n\n天 安门\n", segmented=True)
    assert [s.words for s in found] == [["我", "爱", "北京"], ["天", "安门"]]
    assert [s.place.rpartition(":")[2] for s in found] == ["1", "3"] and not found[0].tags
    assert read(tmp_path, "我\tO\n爱\tO\n", segmented=True)[0][0].words == ["我", "爱"]
    assert read(tmp_path, json.dumps({"text": "我 爱"}), "a.jsonl", segmented=True)[0][0].words == ["我", "爱"]


def test_bytes_that_no_encoding_knows_and_other_encodings(tmp_path):
    assert read(tmp_path, "北\tB\n京\tI\n上\tB\n海\tI\n".encode("gb18030") * 20)[0][0].words[:2] == ["北", "京"]
    _, notes = read(tmp_path, "na\xefve\tX\n".encode() * 50 + b"\xff\xfe\tX\n")
    assert notes.reading.bytes_replaced == 2 or notes.reading.encodings


def test_several_files_and_packed_ones_are_read_in_order(tmp_path):
    import gzip

    (tmp_path / "a.conll.gz").write_bytes(gzip.compress(b"a\tX\n"))
    (tmp_path / "b.conll").write_text("b\tY\n")
    notes = Understanding("train", [])
    found = list(read_tagged([str(tmp_path / "a.conll.gz"), str(tmp_path / "b.conll")], notes))
    assert [s.words for s in found] == [["a"], ["b"]]
