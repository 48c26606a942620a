"""`inkstone compare`: one text for all, one table, and a comparison that was broken off goes on."""

import json

import pytest

from inkstone.cli import main
from inkstone.errors import RecipeError, RunError, TextError
from inkstone.models import FAMILIES
from inkstone.run import Run
from inkstone.studies import compare as module
from inkstone.studies.compare import compare
from inkstone.studies.line_up import ENTRIES, line_up
from training.small_runs import prose

FAST = (
    "train.threads=1",
    "train.steps=20",
    "train.batch_tokens=128",
    "model.width=32",
    "model.n_layers=1",
    "model.context=32",
    "tokenizer.vocab_size=300",
)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "prose.txt"
    path.write_text(prose(60_000), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def compared(text, tmp_path_factory):
    """A counted model, one learned by gradient, and one with a bound, each for a few seconds."""
    out = tmp_path_factory.mktemp("runs") / "three"
    families = ["ngram", "decoder", "text_vae"]
    return out, compare([str(text)], minutes=0.25, families=families, out=out, settings=FAST, quiet=True)


def test_every_family_is_in_the_line_up():
    assert {entry.family for entry in ENTRIES} == set(FAMILIES)
    assert [entry.year for entry in ENTRIES] == sorted(entry.year for entry in ENTRIES)
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)
    with pytest.raises(RecipeError, match="did you mean 'recurrent'"):
        line_up(["recurent"])


@pytest.mark.slow
def test_the_table_holds_what_each_run_recorded(compared):
    out, table = compared
    assert [row["family"] for row in table["rows"]] != [] and len(table["rows"]) == 3
    figures = [row["bits_per_byte"] for row in table["rows"]]
    assert figures == sorted(figures) and all(0 < figure < 8 for figure in figures)
    assert json.loads((out / "compare.json").read_text()) == table
    likelihood = {row["family"]: row["likelihood"] for row in table["rows"]}
    assert likelihood == {"ngram": "exact", "decoder": "exact", "text_vae": "importance-weighted bound"}
    for row in table["rows"]:
        facts = Run(row["folder"]).facts()
        assert facts["comparison"]["bits_per_byte"] == row["bits_per_byte"]
        assert facts["training"]["parameters"] == row["parameters"] > 0 and row["sample"]


@pytest.mark.slow
def test_all_read_and_are_scored_on_the_same_tokens(compared):
    out, table = compared
    facts = [Run(row["folder"]).facts() for row in table["rows"]]
    assert len({fact["tokenizer"]["shards"] for fact in facts}) == 1
    assert len({fact["comparison"]["tokens"] for fact in facts}) == 1
    assert len({fact["comparison"]["bytes"] for fact in facts}) == 1
    assert len({(out / name / "tokenizer.json").read_bytes() for name in ("5-gram", "decoder", "text-vae")}) == 1


@pytest.mark.slow
def test_the_page_names_every_model_and_loads_nothing(compared):
    out, table = compared
    page = (out / "compare.html").read_text(encoding="utf-8")
    assert all(row["name"] in page for row in table["rows"]) and "importance-weighted bound" in page
    assert 'src="' not in page and "http" not in page.replace("http-equiv", "")


@pytest.mark.slow
def test_what_is_finished_is_not_done_again(compared, text, monkeypatch):
    out, table = compared

    def never(words, folder, quiet):
        raise AssertionError(f"{words} was run again")

    monkeypatch.setattr(module, "_child", never)
    families = ["ngram", "decoder", "text_vae"]
    assert compare([str(text)], minutes=0.25, families=families, out=out, settings=FAST, quiet=True) == table


@pytest.mark.slow
def test_another_text_does_not_enter_a_comparison(compared, tmp_path):
    out, _ = compared
    other = tmp_path / "other.txt"
    other.write_text(prose(9_000, seed=5), encoding="utf-8")
    with pytest.raises(RunError, match="other text or settings"):
        compare([str(other)], minutes=0.25, out=out, settings=FAST, quiet=True)


def test_a_model_of_other_settings_is_not_taken_for_the_one_that_is_asked_for(text, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_child", lambda words, folder, quiet: {})
    monkeypatch.setattr(module, "_row", lambda *_: {"bits_per_byte": 1.0, "yardsticks": {}})
    monkeypatch.setattr(module, "compare_page", lambda folder, table: None)
    plain = ["train.threads=1", "tokenizer.vocab_size=300"]
    how = {"minutes": 0.25, "families": ["ngram"], "out": tmp_path / "out", "quiet": True}
    compare([str(text)], settings=[*plain, "model.order=3"], **how)
    compare([str(text)], settings=[*plain, "model.order=3"], **how)
    with pytest.raises(RunError, match=r"5-gram was given .*model\.order=3"):
        compare([str(text)], settings=plain, **how)


def test_what_cannot_be_compared_leaves_nothing(tmp_path):
    few = tmp_path / "few.txt"
    few.write_text("Three words only.", encoding="utf-8")
    with pytest.raises(TextError):
        compare([str(few)], out=tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(RecipeError, match="none of the families"):
        compare([str(few)], families=["ngram"], out=tmp_path / "out", settings=["model.n_heads=2"], quiet=True)


def test_the_verb_refuses_in_one_line(capsys, text, tmp_path):
    assert main(["compare", str(text), "--family", "decodr", "--out", str(tmp_path / "out")]) == 2
    assert "did you mean 'decoder'" in capsys.readouterr().err
