"""`inkstone generate` and `inkstone chat` as a person types them."""

import io
import json
import re
import sys

import pytest
import torch

from inkstone.cli import main
from inkstone.hub.folder import save
from inkstone.hub.headed_layout import save_headed
from inkstone.inference import fast_decoder
from inkstone.inference.generation import generate
from inkstone.inference.native import library
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import TURN_END


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    """A folder with a small random model."""
    folder = tmp_path_factory.mktemp("run")
    tokenizer = learn_tokenizer(iter(["ink and stone"] * 3), "byte-bpe", 262)
    settings = DecoderSettings(
        vocab_size=tokenizer.vocab_size,
        width=32, n_layers=1, n_heads=2, n_kv_heads=1, head_width=16, hidden=32, context=64,
    )  # fmt: skip
    save(Decoder(settings, tokenizer).initialise(torch.Generator().manual_seed(0)), folder)
    return str(folder)


@pytest.fixture
def piped(monkeypatch):
    """Puts text on standard input, as a pipe does."""

    def pipe(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8"))

    return pipe


def facts(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_it_prints_the_prompt_and_its_continuation_and_what_that_cost(run, capsys):
    assert main(["generate", run, "Ink", "--max-tokens", "20"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("Ink") and len(shown.out) > 4 and shown.out.endswith("\n")
    assert "tokens/s" in shown.err and shown.err.count("\n") == 1


def test_nothing_is_printed_of_a_model_that_cannot_go_on(tmp_path, capsys):
    tokenizer = learn_tokenizer(iter(["ink and stone"] * 3), "byte-bpe", 262)
    body = Decoder(DecoderSettings.of_size(tokenizer.vocab_size, 16, 1, context=16), tokenizer)
    tuned = Headed(body.initialise(torch.Generator().manual_seed(0)), HeadSettings("class", labels=("good", "bad")))
    save_headed(tuned.initialise_head(torch.Generator().manual_seed(1)), tmp_path / "labels", {"name": "classify"})
    assert main(["generate", str(tmp_path / "labels"), "Ink"]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "inkstone predict" in shown.err


@pytest.mark.parametrize("words", [[], ["--json"], ["--json", "--beams", "2"]])
def test_a_model_that_converses_ends_where_its_template_ends_an_answer(tmp_path, words, capsys):
    tokenizer = learn_tokenizer(iter(["ink and stone"] * 3), "byte-bpe", 262)
    settings = DecoderSettings.of_size(tokenizer.vocab_size, 32, 1, context=64)
    model = Decoder(settings, tokenizer).initialise(torch.Generator().manual_seed(0)).eval()
    turn_end, first = (
        tokenizer.backend.token_to_id(TURN_END),
        generate(model, "Ink", temperature=0.0, max_tokens=1)[0].ids[0],
    )
    with torch.no_grad():
        model.output_weight[turn_end] = 9 * model.output_weight[first]
    drawn = [] if "--beams" in words else ["--temperature", "0"]
    for name, template, reason in (("base", None, "length"), ("chat", ChatTemplate.chatml(tokenizer), "end")):
        save(model, tmp_path / name, template)
        assert main(["generate", str(tmp_path / name), "Ink", "--max-tokens", "6", *drawn, *words]) == 0
        shown = capsys.readouterr()
        if words:
            assert json.loads(shown.out)["samples"][0]["finish_reason"] == reason
        else:
            assert ("6 tokens in" in shown.err) == (reason == "length")
            assert re.search(r"\d tokens in ([1-9]\d* ms|[1-9][\d.]*s), ", shown.err)  # and never in 0.0s


@pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler here")
@pytest.mark.parametrize("there", [True, False])
def test_compiling_is_spoken_of_where_there_is_something_to_compile(there, run, tmp_path, monkeypatch, capsys):
    if there:
        library.build()
    else:
        monkeypatch.setenv(library.CACHE, str(tmp_path))
        monkeypatch.setattr(library, "build_beside", lambda: None)
        monkeypatch.setattr(fast_decoder, "for_generation", lambda model, *_, **__: model)
    assert main(["generate", run, "Ink", "--max-tokens", "1", "--compile"]) == 0
    assert ("compiling the code" in capsys.readouterr().err) != there


def test_the_streamed_text_is_that_of_json(run, capsys):
    words = ["generate", run, "Ink", "--max-tokens", "30", "--seed", "5", "--temperature", "1.2", "--top-k", "50"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    outcome = facts(capsys)
    assert shown == f"Ink{outcome['samples'][0]['text']}\n"
    assert outcome["tokens"] == len(outcome["samples"][0]["ids"])
    assert outcome["samples"][0]["finish_reason"] in ("end", "length")


@pytest.mark.parametrize("argument", [[], ["-"]])
def test_the_prompt_comes_from_standard_input(run, argument, piped, capsys):
    piped("墨 and\nink\n")
    assert main(["generate", run, *argument, "--max-tokens", "2", "--json"]) == 0
    assert facts(capsys)["prompt"] == "墨 and\nink"


def test_several_samples_and_beams(run, capsys):
    assert main(["generate", run, "a", "--samples", "3", "--max-tokens", "5", "--json"]) == 0
    assert len(facts(capsys)["samples"]) == 3
    assert main(["generate", run, "a", "--beams", "4", "--samples", "2", "--max-tokens", "5", "--json"]) == 0
    first, second = facts(capsys)["samples"]
    assert first["ids"] != second["ids"]
    assert main(["generate", run, "a", "--samples", "2", "--max-tokens", "5"]) == 0
    assert "── 2 (log-probability" in capsys.readouterr().out


def test_stop_strings_end_the_text(run, capsys):
    assert main(["generate", run, "a", "--seed", "1", "--json"]) == 0
    text = facts(capsys)["samples"][0]["text"]
    stop = text[3:5]
    assert main(["generate", run, "a", "--seed", "1", "--stop", "no such text", "--stop", stop, "--json"]) == 0
    sample = facts(capsys)["samples"][0]
    assert sample["text"] == text[: text.index(stop)] and sample["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--temperature", "-1"], "temperature = -1.0"),
        (["--samples", "0"], "samples = 0"),
        (["--max-length", "1"], "max_length = 1"),
        (["--beams", "2", "--seed", "3"], "leave out seed"),
    ],
)
def test_a_wrong_value_is_one_clear_line(run, words, reason, capsys):
    assert main(["generate", run, "ab", *words]) == 2
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1


def test_a_folder_that_is_no_model_is_one_clear_line(tmp_path, capsys):
    assert main(["generate", str(tmp_path), "a"]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_chat_answers_line_by_line(run, piped, capsys):
    piped("Hello\n\n/seed 4\nAgain\n/reset\n/dance\n/quit\nnever read\n")
    assert main(["chat", run, "--max-tokens", "4"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out) > 2
    assert "base model" in shown.err and "seed 4\n" in shown.err and "forgotten" in shown.err
    assert "'/dance' is no command" in shown.err


def test_chat_gives_its_turns_as_json(run, piped, capsys):
    piped("Hello\nAgain")
    assert main(["chat", run, "--max-tokens", "4", "--json"]) == 0
    assert [turn["user"] for turn in facts(capsys)["turns"]] == ["Hello", "Again"]


def test_chat_says_the_same_with_a_draft(run, piped, capsys):
    told = []
    for words in ([], ["--draft", "lookup", "--draft-tokens", "3"]):
        piped("ink and ink and ink\nand stone")
        assert main(["chat", run, "--max-tokens", "20", "--seed", "3", "--json", *words]) == 0
        told.append(facts(capsys))
    assert told[0] == told[1]


def test_texts_of_a_form(run, tmp_path, capsys):
    assert main(["generate", run, "a", "--choices", "ink", "stone", "--json"]) == 0
    assert facts(capsys)["samples"][0]["text"] in ("ink", "stone")
    assert main(["generate", run, "a", "--regex", "[ab]{5}", "--samples", "3", "--json"]) == 0
    assert {len(one["text"]) for one in facts(capsys)["samples"]} == {5}
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}', encoding="utf-8")
    assert main(["generate", run, "a", "--json-schema", str(schema)]) == 0
    shown = capsys.readouterr()
    assert {type(value) for value in json.loads(shown.out[1:])} == {bool} and "used up" not in shown.err


def test_a_form_that_is_cut_off_is_said(run, capsys):
    assert main(["generate", run, "a", "--regex", "[ab]{50}", "--max-tokens", "5"]) == 0
    assert "1 of 1 texts used up their tokens before the form was complete" in capsys.readouterr().err


def test_forms_that_cannot_be_kept_to_are_refused_before_the_model_is_opened(tmp_path, capsys):
    (tmp_path / "schema.json").write_text('{"tipe": "array"}', encoding="utf-8")
    for words, told in (
        (["--json-schema", str(tmp_path / "schema.json")], "did you mean 'type'"),
        (["--json-schema", str(tmp_path / "none.json")], "cannot be read"),
        (["--regex", "(a"], "unclosed group"),
    ):
        assert main(["generate", str(tmp_path / "no run"), "a", *words]) == 2
        assert told in capsys.readouterr().err
