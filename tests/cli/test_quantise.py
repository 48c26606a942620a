"""`inkstone quantise`, and the folder that it writes in the hands of the other verbs."""

import io
import json
import sys

import pytest
from tests.evaluation.tiny_runs import make_run
from tests.inference.decoders import decoder

from inkstone.cli import main
from inkstone.hub.folder import load, save
from inkstone.models.decoder import Decoder
from inkstone.models.quantised_decoder import bits_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("runs") / "mine").folder
    model = decoder()  # every weight of it counts
    own = Decoder(model.settings, load(folder).tokenizer)
    own.load_state_dict(model.state_dict())
    save(own, folder)
    return folder


@pytest.fixture(scope="module", params=[8, 4])
def rounded(run, request, tmp_path_factory):
    out = tmp_path_factory.mktemp("rounded") / f"int{request.param}"
    assert main(["quantise", str(run), "--bits", str(request.param), "--out", str(out)]) == 0
    return out


def outcome(capsys, *words) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_says_what_became_smaller_and_what_was_lost(run, tmp_path, capsys):
    words = ["quantise", str(run), "--text", "held-out", "--out"]
    facts = outcome(capsys, *words, str(tmp_path / "one"))
    assert facts["bytes"] == (tmp_path / "one" / "model.safetensors").stat().st_size
    assert facts["bytes_before"] == (run / "model.safetensors").stat().st_size
    assert facts["bytes"] < 0.4 * facts["bytes_before"]
    assert 0 < abs(facts["bits_per_byte"] - facts["bits_per_byte_before"]) < 0.05
    assert main([*words, str(tmp_path / "two")]) == 0
    shown = capsys.readouterr().out
    assert f"bits per byte {facts['bits_per_byte']:.4f}, was {facts['bits_per_byte_before']:.4f}" in shown


def test_the_folder_is_named_as_the_run_was(run, capsys, monkeypatch):
    monkeypatch.chdir(run.parent)
    assert outcome(capsys, "quantise", "mine")["path"] == "mine-int8"
    monkeypatch.chdir(run)
    assert outcome(capsys, "quantise", ".", "--bits", "4")["path"] == str(run.resolve()) + "-int4"


def test_four_bits_are_fewer_than_eight(run, tmp_path, capsys):
    sizes = [
        outcome(capsys, "quantise", str(run), "--bits", bits, "--out", str(tmp_path / bits))["bytes"]
        for bits in ("8", "4")
    ]
    assert sizes[1] < sizes[0]


def test_what_it_writes_generates_scores_and_converses(rounded, tmp_path, capsys, monkeypatch):
    text = tmp_path / "text.txt"
    text.write_text("Ink and stone. " * 40)
    assert bits_of(load(rounded)) == int(rounded.name[3:])
    written = outcome(capsys, "generate", str(rounded), "Ink", "--max-tokens", "12", "--temperature", "0")
    assert written["tokens"] > 0
    assert 0 < outcome(capsys, "eval", str(rounded), str(text), "--no-yardsticks")["bits_per_byte"] < 100
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Who grinds ink?\n")))
    assert len(outcome(capsys, "chat", str(rounded), "--max-tokens", "5")["turns"]) == 1


def test_the_precision_of_a_run_is_that_of_the_folder_made_from_it(run, rounded, capsys):
    words = ["Ink", "--max-tokens", "20", "--temperature", "0"]
    of_folder = outcome(capsys, "generate", str(rounded), *words)["samples"]
    of_run = outcome(capsys, "generate", str(run), *words, "--precision", rounded.name)["samples"]
    assert [one["ids"] for one in of_folder] == [one["ids"] for one in of_run]
    assert of_folder[0]["log_probability"] == pytest.approx(of_run[0]["log_probability"], abs=1e-3)


def test_precisions_differ_by_little(run, capsys):
    found = {}
    for precision in ("float32", "bfloat16", "int8", "int4"):
        words = ["Ink", "--max-tokens", "1", "--temperature", "0", "--precision", precision]
        found[precision] = outcome(capsys, "generate", str(run), *words)["samples"][0]["log_probability"]
    for precision, most in (("bfloat16", 0.1), ("int8", 0.1), ("int4", 1.0)):
        assert found[precision] == pytest.approx(found["float32"], abs=most)
        assert found[precision] != found["float32"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["quantise", "{rounded}"], "rounded to"),
        (["quantise", "{run}", "--out", "{rounded}"], "already exists"),
        (["quantise", "{rounded}", "--text", "held-out", "--out", "new"], "held-out"),
        (
            ["tune", "classify", "{examples}", "--from", "{rounded}", "--minutes", "0.2", "--out", "{out}"],
            "cannot learn",
        ),
        (["serve", "{run}", "--engine", "vllm", "--precision", "int8"], "engine_dtype"),
    ],
)
def test_what_cannot_be_is_said(run, rounded, words, said, tmp_path, capsys):
    (tmp_path / "examples.csv").write_text(
        "text,label\n" + "".join(f"ink {number},a\nstone {number},b\n" for number in range(30))
    )
    places = {"run": run, "rounded": rounded, "examples": tmp_path / "examples.csv", "out": tmp_path / "out"}
    words = [word.format(**places) for word in words]
    assert main(words) == 2
    assert said in capsys.readouterr().err
