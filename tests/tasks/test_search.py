"""Search: what is found where, by words and by meaning, kept and made anew, and answered with its place."""

import json

import numpy as np
import pytest

from inkstone import predict, search, tune
from inkstone.cli import main
from inkstone.errors import RunError, TextError
from inkstone.evaluation.ranking import ndcg
from inkstone.tasks import passage_index
from inkstone.tasks.passage_index import FUSED, PassageIndex
from tasks.test_answer import SMALL as SMALL_ANSWERS, write_questions
from tasks.test_embed import CALLED, SMALL as SMALL_VECTORS, THINGS, write_pairs

TEXTS = {
    "a.txt": "Title\n\nInk is made of soot and glue.\r\n\r\n端砚产于肇庆，\n石质细腻。\n",
    "deep/b.md": "# Paper\n\nPaper came from Cai Lun, it is said.\n",
    "c.jsonl": '{"text": "A brush of wolf hair."}\n{"text": "A brush of goat hair, soft."}\n',
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in TEXTS.items():
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    (tmp_path / "texts" / "picture.png").write_bytes(b"\x89PNG\r\n\0\0\0")
    # Passages of a paragraph each, so that few words are enough to tell them apart.
    monkeypatch.setattr(passage_index, "passages_of", lambda frame, lines: PARAGRAPHS(frame, lines, 40))
    return tmp_path / "texts"


PARAGRAPHS = passage_index.passages_of


def places(result, folder):
    return [passage["place"].removeprefix(f"{folder}/") for passage in result["passages"]]


def test_passages_are_found_with_file_and_line_in_both_languages(folder):
    facts = search(folder, ["What is ink made of?", "端砚产于哪里？", "goat hair", "xylophone"], top=2, quiet=True)
    ink, duan, goat, nothing = facts["results"]
    assert places(ink, folder)[0] == "a.txt:1" and "soot" in ink["passages"][0]["text"]
    assert places(duan, folder)[0] == "a.txt:5"
    assert places(goat, folder) == ["c.jsonl#2:1", "c.jsonl#1:1"]
    assert nothing["passages"] == []
    assert facts["by"] == "words" and [name for name, _ in facts["skipped"]] == [f"{folder}/picture.png"]


def test_the_verb_prints_places_and_json(folder, capsys):
    assert main(["search", str(folder), "did Cai Lun make paper", "--top", "1", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert f"{folder}/deep/b.md:3" in printed and "Cai Lun" in printed and "6 passages, by words" in printed
    assert main(["search", str(folder), "wolf", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["passages"][0]["by_words"] == 1


@pytest.mark.parametrize("questions, complaint", [([], "nothing is asked"), (["  "], "a question is empty")])
def test_nothing_to_ask_is_said(folder, questions, complaint):
    with pytest.raises(TextError, match=complaint):
        search(folder, questions, quiet=True)


def test_nothing_to_search_is_said(tmp_path):
    (tmp_path / "blank.txt").write_text(" \n\n ")
    with pytest.raises(TextError, match="nothing in it but blanks"):
        search(tmp_path / "blank.txt", "x", quiet=True)
    with pytest.raises(TextError, match="no such file"):
        search(tmp_path / "none", "x", quiet=True)


def test_how_well_known_passages_are_found_is_scored(folder, tmp_path):
    asked = [
        {"question": "What is ink made of?", "file": "a.txt", "line": 3},
        {"question": "brush of hair", "file": "c.jsonl"},
        {"question": "brush hair", "file": "b.md"},  # not found: nothing there is said of it
        *({"question": "端砚产于", "file": "a.txt", "line": 5} for _ in range(3)),
    ]
    path = tmp_path / "asked.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in asked), encoding="utf-8")
    scores = search(folder, score=path, quiet=True)["scores"]
    assert scores["questions"] == 6
    assert scores["recall@1"]["value"] == scores["recall@10"]["value"] == pytest.approx(5 / 6)
    assert scores["nDCG@10"]["value"] == pytest.approx((5 * ndcg([1], {1: 1.0})) / 6)
    for row, complaint in (
        ({"question": "x", "file": "z.txt"}, "no passage of z.txt was searched"),
        ({"question": "x", "file": "a.txt", "line": "third"}, "'third' is no number"),
        ({"question": "x", "file": "a.txt", "line": 99}, "no passage of a.txt, line 99, was searched"),
        ({"file": "a.txt"}, "needs a question and a file"),
    ):
        path.write_text(json.dumps(row), encoding="utf-8")
        with pytest.raises(TextError, match=f"asked.jsonl:1: .*{complaint}"):
            search(folder, score=path, quiet=True)


def test_an_index_is_kept_and_made_anew_where_the_text_changed(folder, monkeypatch):
    kept = folder / "index"  # inside of what is searched, and yet not searched
    first = search(folder, "goat hair", index=kept, quiet=True)
    counted = []
    real = passage_index.BM25.of
    monkeypatch.setattr(passage_index.BM25, "of", lambda texts: counted.append(len(texts)) or real(texts))
    again = search(folder, "goat hair", index=kept, quiet=True)
    assert again["results"] == first["results"] and counted == []
    (folder / "d.txt").write_text("goat hair goat hair")
    changed = search(folder, "goat hair", index=kept, quiet=True)
    assert counted == [7] and places(changed["results"][0], folder)[0] == "d.txt:1"
    (kept / "words.npz").write_bytes(b"damaged")
    assert search(folder, "goat hair", index=kept, quiet=True)["results"] == changed["results"] and counted == [7, 7]


def test_a_folder_that_is_no_index_is_left_alone(folder, tmp_path):
    other = tmp_path / "mine"
    other.mkdir()
    for name in ("index.json", "letter.txt"):
        (other / name).write_text("{}")
    with pytest.raises(RunError, match="is no index"):
        search(folder, "goat", index=other, quiet=True)
    assert (other / "letter.txt").read_text() == "{}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run that gives vectors, by which English and Chinese names of a thing are alike, and one that answers."""
    home = tmp_path_factory.mktemp("runs")
    tune("embed", [write_pairs(home / "pairs.jsonl", 200, 0)], settings=SMALL_VECTORS, out=home / "vectors", quiet=True)
    tune(
        "answer", [write_questions(home / "qa.jsonl", 120, 0)], settings=SMALL_ANSWERS, out=home / "answers", quiet=True
    )
    return home


def test_by_meaning_what_shares_no_word_is_found(runs, tmp_path):
    for thing, called in zip(THINGS, CALLED, strict=True):
        (tmp_path / f"{thing}.txt").write_text(f"说的是{called}和{called}", encoding="utf-8")
    firsts = 0
    for thing in THINGS:
        assert search(tmp_path, thing, quiet=True)["results"][0]["passages"] == []
        (result,) = search(
            tmp_path, f"of {thing} and {thing}", run=runs / "vectors", quiet=True, index=tmp_path / "kept"
        )["results"]
        firsts += result["passages"][0]["file"].endswith(f"{thing}.txt")
        assert result["passages"][0]["by_meaning"] == 1 and "by_words" not in result["passages"][0]
    assert firsts >= 5
    assert np.load(tmp_path / "kept" / "vectors.npy").shape == (8, 32)


def test_two_rankings_are_fused_by_their_places(runs, folder):
    index = PassageIndex.of([folder], runs / "vectors", device="cpu")
    found = index.search("brush of goat hair", 5)
    for each in found:
        places = [place for place in (each.by_words, each.by_meaning) if place]
        assert each.score == pytest.approx(sum(1 / (FUSED + place) for place in places))
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_an_answer_comes_with_its_line(runs, tmp_path, capsys):
    lines = [
        f"Stone {n} is black.\r\nIt came from {place} long ago, and it was made by Sun in spring.\r\n"
        for n, place in enumerate(("north", "肇庆"))
    ]
    for n, text in enumerate(lines):
        (tmp_path / f"{n}.txt").write_bytes(text.encode())
    facts = search(tmp_path, "from where came stone 1?", answer=runs / "answers", quiet=True)
    answer = facts["results"][0]["answer"]
    assert answer["text"] in ("肇庆", "north") and answer["place"].endswith(".txt:2")
    assert answer["text"] in answer["passage"]
    assert (
        main(["search", str(tmp_path), "from where came stone 1?", "--answer", str(runs / "answers"), "--quiet"]) == 0
    )
    assert "sure," in capsys.readouterr().out


def test_runs_of_other_tasks_are_refused(runs, folder):
    with pytest.raises(RunError, match="tuned for the task answer, and gives no vectors"):
        search(folder, "x", run=runs / "answers", quiet=True)
    with pytest.raises(RunError, match="tuned for the task embed, and answers no questions"):
        search(folder, "x", answer=runs / "vectors", quiet=True)
    with pytest.raises(RunError, match="a context is for runs that answer questions"):
        predict(runs / "vectors", ["x"], context=folder / "a.txt")
