"""`inkstone doctor` says what this machine has."""

import json

import pytest

import inkstone
from inkstone.cli import main
from inkstone.training import machine


@pytest.fixture(autouse=True)
def short_measurement(monkeypatch):
    for name in ("matmul_rate", "copy_rate"):
        measure = getattr(machine, name)
        monkeypatch.setattr(machine, name, lambda *words, measure=measure: measure(*words[:-1], 0.01))


def test_prints_a_table(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in ("device      cpu", "memory", "GFLOP/s in float32", "will use", "disk", "torch", "tokenizers", "next"):
        assert word in out


def test_json_holds_the_same_facts(capsys):
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["device"] == "cpu" and facts["matmul_gflops"]["float32"] > 0 and facts["memory_gb_per_s"] > 0
    assert facts["disk_free_bytes"] > 0 and facts["packages"]["torch"].startswith("2.")


def test_a_device_that_is_not_there(capsys):
    assert main(["doctor", "--device", "tpu"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "'tpu' cannot be used here" in err


def test_what_is_not_installed_is_said(monkeypatch, capsys):
    monkeypatch.setattr("inkstone.training.doctor.OPTIONAL", ("no-such-package-anywhere",))
    assert main(["doctor"]) == 0
    assert "no-such-package-anywhere not installed" in capsys.readouterr().out


def test_says_by_what_decoders_write(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("INKSTONE_CACHE", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["doctor"]) == 0
    assert "compiler    none for C++" in capsys.readouterr().out
    (tmp_path / "g++").write_text("#!/bin/sh\n")
    (tmp_path / "g++").chmod(0o755)
    assert main(["doctor"]) == 0
    assert f"compiler    {tmp_path / 'g++'}; decoders write by code that it compiles" in capsys.readouterr().out


def test_the_python_function_is_the_verb():
    assert inkstone.doctor("cpu")["threads"] >= 1
