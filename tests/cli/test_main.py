"""The command line as a whole: its verbs, its exit codes, and how little it costs to ask for help."""

import argparse
import subprocess
import sys

import pytest

import inkstone
from inkstone.cli import VERBS, main, parser_for, verb_module
from inkstone.errors import Interrupted, TextError


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_file_options_and_help(verb, capsys):
    module = verb_module(verb)
    assert callable(module.run) and module.__doc__
    module.arguments(argparse.ArgumentParser())
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "--json" in out and "--debug" in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_a_public_function_of_the_same_name(verb):
    assert callable(
        getattr(inkstone, {"import": "import_model", "vectors": "learn_vectors"}.get(verb, verb.replace("-", "_")))
    )


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        _ = inkstone.tarin


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--max-tokns", "3"], "generate: error: there is no option --max-tokns; did you mean --max-tokens?"),
        (["--regx=a"], "generate: error: there is no option --regx; did you mean --regex?"),
        (["--zzzz"], "generate: error: there is no option --zzzz"),
        (["a", "b"], "error: unrecognized arguments: a b"),
    ],
)
def test_an_option_that_there_is_not_is_refused_in_the_name_of_its_verb(words, told, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["generate", "run", "prompt", *words])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"{told}\n")


@pytest.mark.parametrize(
    ("verb", "told"), [("trian", "did you mean 'train'?"), ("zzzz", "valid names: adapt, align, chat, clean")]
)
def test_a_verb_that_there_is_not_is_refused_with_the_nearest(verb, told, capsys):
    with pytest.raises(SystemExit) as caught:
        main([verb, "a.txt", "--minutes", "3"])
    assert caught.value.code == 2
    assert f"inkstone: error: there is no verb {verb!r}; {told}" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0 and capsys.readouterr().out == f"inkstone {inkstone.__version__}\n"


@pytest.mark.parametrize("words", [[], ["tarin"], ["train", "--no-such-option"]])
def test_what_cannot_be_parsed_ends_with_two(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2 and "inkstone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (TextError("no text"), 2, "inkstone: no text\n"),
        (Interrupted("stopped", 143), 143, "inkstone: stopped\n"),
        (KeyboardInterrupt(), 130, "inkstone: stopped\n"),
        (
            ValueError("odd"),
            1,
            "inkstone: ValueError: odd (this should not happen; run again with --debug to see where)\n",
        ),
        (None, 0, ""),
    ],
)
def test_exit_codes(monkeypatch, capsys, error, code, said):
    def run(options):
        if error is not None:
            raise error
        return {}

    monkeypatch.setattr("inkstone.cli.doctor_verb.run", run)
    assert main(["doctor"]) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", said)


def test_a_reader_that_has_gone_is_no_error():
    result = subprocess.run(
        f"{sys.executable} -m inkstone doctor --json | true", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in result.stderr


def test_an_error_whose_reader_has_gone_is_no_traceback():
    verb = [sys.executable, "-m", "inkstone", "stats", "no-such-file", "--json"]
    with subprocess.Popen(verb, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None and command.stderr is not None
        command.stdout.close()
        said = command.stderr.read()
    assert command.returncode == 2 and said.startswith("inkstone: no-such-file") and said.count("\n") == 1


def test_help_imports_nothing_heavy():
    program = "import sys; from inkstone.cli import parser_for; parser_for(None); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "polars", "tokenizers", "pydantic", "safetensors", "transformers"}
    assert not heavy & set(result.stdout.split())


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_imports_nothing_heavy(verb):
    program = f"import sys; from inkstone.cli import parser_for; parser_for({verb!r}); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "polars", "tokenizers", "transformers"} & set(result.stdout.split())


def test_the_parser_of_the_whole_names_every_verb():
    assert all(verb in parser_for(None).format_help() for verb in VERBS)
