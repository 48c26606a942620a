"""The same requests to servers that write with engines of others: at temperature 0 the same answers."""

import pytest

from inkstone.cli import main
from inkstone.hub import ctranslate2_folder, gguf_file
from inkstone.serving.opening import open_served
from inkstone.serving.settings import ENGINE_DTYPES, ServingError, ServingSettings

from .servers import served

NEEDS = {"llama.cpp": "xllamacpp", "ctranslate2": "ctranslate2"}
CHAT = {"messages": [{"role": "user", "content": "What is ink?"}], "max_tokens": 24, "temperature": 0}


@pytest.fixture(scope="module", params=NEEDS)
def other(request, decoder_folder):
    """A client of a server with this engine, and its name."""
    pytest.importorskip(NEEDS[request.param])
    import openai

    with served([decoder_folder], engine=request.param) as running:
        with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0, timeout=60) as asking:
            yield asking, request.param, running


def test_answers_are_those_of_our_own_engine(other, client):
    asking, name, running = other
    asked = dict(CHAT)
    if name == "llama.cpp":  # it leaves out bytes that are no UTF-8, which this random model would write
        tokenizer = running.house.language("tiny").tokenizer
        plain = [n for n, word in enumerate(tokenizer.spelling) if word.isascii() and n not in tokenizer.special_ids]
        asked["logit_bias"] = {str(number): 50 for number in plain}
    theirs = asking.chat.completions.create(model="tiny", **asked)
    ours = client.chat.completions.create(model="tiny", **asked)
    assert theirs.choices[0].message.content == ours.choices[0].message.content
    assert theirs.choices[0].finish_reason == ours.choices[0].finish_reason
    assert theirs.usage.prompt_tokens == ours.usage.prompt_tokens


def test_a_stream_is_the_answer_in_pieces(other):
    asking, _, _ = other
    whole = asking.chat.completions.create(model="tiny", **CHAT).choices[0].message.content
    pieces = asking.chat.completions.create(model="tiny", stream=True, **CHAT)
    assert "".join(event.choices[0].delta.content or "" for event in pieces if event.choices) == whole


def test_what_the_engine_cannot_do_is_refused_in_words(other):
    import openai

    asking, name, _ = other
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    with pytest.raises(openai.BadRequestError, match=f"the engine {name} has no answers of a given form"):
        asking.chat.completions.create(model="tiny", response_format=form, **CHAT)
    if name == "ctranslate2":
        with pytest.raises(openai.BadRequestError, match="has no logit_bias"):
            asking.completions.create(model="tiny", prompt="ink", logit_bias={"5": 3})
        with pytest.raises(openai.BadRequestError, match="has no seed for texts that are drawn"):
            asking.completions.create(model="tiny", prompt="ink", seed=3)
        asking.completions.create(model="tiny", prompt="ink", seed=3, temperature=0)
        asking.completions.create(model="tiny", prompt="ink", max_tokens=3)  # drawn, by no seed
    else:
        drawn = [asking.completions.create(model="tiny", prompt="ink", seed=3, max_tokens=6) for _ in range(2)]
        assert drawn[0].choices[0].text == drawn[1].choices[0].text


def test_metrics_tell_of_it(other):
    import httpx

    _, _, running = other
    text = httpx.get(f"{running.url}/metrics").text
    assert 'inkstone_written_tokens_total{model="tiny"}' in text


def test_an_engine_that_there_is_not_and_a_type_without_an_engine_are_refused():
    with pytest.raises(ServingError, match=r"no engine 'lama.cpp'; .*llama.cpp"):
        ServingSettings(engine="lama.cpp")
    with pytest.raises(ServingError, match="name that by --engine"):
        ServingSettings(engine_dtype="q8_0")


def test_a_type_that_an_engine_has_not_is_refused_before_anything_is_opened(capsys):
    for engine, dtype in (("llama.cpp", "int8"), ("ctranslate2", "q8_0"), ("vllm", "int3")):
        assert main(["serve", "no-such-run", "--engine", engine, "--engine-dtype", dtype]) == 2
        assert f"engine_dtype = '{dtype}', but the engine {engine} keeps weights as" in capsys.readouterr().err
    assert ENGINE_DTYPES["llama.cpp"] == gguf_file.DTYPES
    assert ENGINE_DTYPES["ctranslate2"] == ctranslate2_folder.DTYPES


def test_the_command_says_what_is_wrong_in_one_line(decoder_folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["serve", str(decoder_folder), "--engine", "vllm", "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert "'vllm' is not found" in said and "--engine llama.cpp" in said


def test_a_model_that_is_no_decoder_is_refused(tmp_path):
    from inkstone.hub.folder import save
    from inkstone.models.neural_ngram import NeuralNgram, NeuralNgramSettings
    from inkstone.tokens.learning import learn_tokenizer

    tokenizer = learn_tokenizer(iter(["ink on stone"] * 3), "byte-bpe", 270)
    save(NeuralNgram(NeuralNgramSettings.of_size(tokenizer.vocab_size, 8, 1), tokenizer), tmp_path / "run")
    with pytest.raises(ServingError, match="runs decoders; serve this one with --engine inkstone"):
        open_served(tmp_path / "run", ServingSettings(engine="llama.cpp"))
