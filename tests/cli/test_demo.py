"""`inkstone demo digits`: figures that hold together, and pictures."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest

import inkstone
from inkstone.cli import main


def write_mnist(folder) -> None:
    """Four kinds of picture, of 6 × 6 pixels: the digit is the quarter that is black."""
    draws = np.random.default_rng(0)
    for part, count in (("train", 400), ("t10k", 40)):
        digits = draws.integers(0, 4, count).astype(np.uint8)
        pictures = np.zeros((count, 6, 6), dtype=np.uint8)
        for at, digit in enumerate(digits):
            pictures[at, 3 * (digit // 2) :, 3 * (digit % 2) :][:3, :3] = 255
        for name, numbers in ((f"{part}-images-idx3-ubyte", pictures), (f"{part}-labels-idx1-ubyte", digits)):
            head = bytes((0, 0, 8, numbers.ndim)) + struct.pack(f">{numbers.ndim}I", *numbers.shape)
            (folder / name).write_bytes(head + numbers.tobytes())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_mnist(folder)
    facts = inkstone.demo("digits", minutes=0.03, latent=2, mnist=folder, out=folder / "out", quiet=True)
    return folder, facts


def test_the_figures_hold_together(run):
    _, facts = run
    assert facts["test_pictures"] == 40 and facts["pixels"] == 36
    assert -facts["elbo"] == pytest.approx(facts["reconstruction"] + facts["kl"], abs=1e-4)
    assert math.log(4) * 0.8 < -facts["importance_bound"] <= -facts["elbo"] + 0.05
    assert facts["pixels_alone"] > 15 and 0 <= facts["active_units"] <= 2


def test_the_pictures_are_there(run):
    folder, facts = run
    names = {"generated", "generated-plain", "reconstructed", "plane", "map"}
    assert facts["pictures"].keys() == names
    for path in facts["pictures"].values():
        head = Path(path).read_bytes()[:8]
        assert head.startswith(b"<svg") if path.endswith(".svg") else head == b"\x89PNG\r\n\x1a\n"
    assert json.loads((folder / "out" / "demo.json").read_text())["elbo"] == facts["elbo"]


def test_the_verb_prints_a_table(run, tmp_path, capsys):
    folder, _ = run
    out = str(tmp_path / "pictures")
    assert main(["demo", "digits", "--minutes", "0.0001", "--mnist", str(folder), "--latent", "1", "--out", out]) == 0
    shown = capsys.readouterr().out
    for words in ("nats a test picture", "−ELBO", "KL", "plain autoencoder", "generated.png", "next: inkstone demo"):
        assert words in shown
    assert main(["demo", "--minutes", "0.0001", "--mnist", str(folder), "--out", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["latent"] == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["letters"], "there is no demonstration 'letters'"),
        (["digits", "--minutes", "0"], "minutes = 0"),
        (["digits", "--latent", "0"], "latent = 0"),
        (["digits", "--mnist", "no-such-folder"], "train-images-idx3-ubyte"),
    ],
)
def test_what_cannot_be_is_one_line(words, said, run, capsys):
    folder, _ = run
    if "--mnist" not in words:
        words = [*words, "--mnist", str(folder)]
    assert main(["demo", *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
