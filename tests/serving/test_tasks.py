"""Vectors, recordings and other tasks over HTTP, held against `predict`."""

import base64
import io
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import numpy as np
import openai
import pytest
import torch

from inkstone.hub.headed_layout import save_headed
from inkstone.models.encoder import Encoder, EncoderSettings
from inkstone.models.headed import Headed
from inkstone.models.speech_encoder import SpeechEncoder, SpeechEncoderSettings
from inkstone.serving.task_queue import Questions, TaskQueue
from inkstone.tasks.classify import Classify
from inkstone.tasks.embed import Embed
from inkstone.tasks.labelled import Labelled
from inkstone.tasks.predict import predict
from inkstone.tasks.transcribe import Transcribe
from inkstone.tokens.learning import learn_tokenizer

from .servers import served

soundfile = pytest.importorskip("soundfile")
RATE = 16_000


def recording(seconds: float = 0.6, form: str = "WAV", seed: int = 0) -> bytes:
    """Tones that come and go."""
    time = np.arange(int(seconds * RATE)) / RATE
    sound = 0.3 * np.sin(2 * np.pi * (300 + 200 * seed) * time) * (np.sin(2 * np.pi * 5 * time) > 0)
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format=form)
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Untrained models with their tasks: their answers mean nothing, and are always the same."""
    folder = tmp_path_factory.mktemp("tasks")
    tokenizer = learn_tokenizer(["the ink is black", "一滴墨"] * 3, vocab_size=290)
    classify = Classify()
    classify.learn([Labelled("1", "x", None, ("bad",)), Labelled("2", "y", None, ("good",))])
    for name, task in (("moods", classify), ("vectors", Embed())):
        body = Encoder(EncoderSettings.of_size(tokenizer.vocab_size, 16, 1), tokenizer)
        body.initialise(torch.Generator().manual_seed(1))
        model = Headed(body, task.head()).initialise_head(torch.Generator().manual_seed(2))
        save_headed(model, folder / name, {"name": task.name, "context": 32, **task.to_dict()})
    speech = Transcribe(rate=RATE, beams=1)
    letters = learn_tokenizer(["abc abc"], "character", 260)
    shape = {"width": 16, "n_layers": 1, "n_heads": 2, "hidden": 16, "channels": 4}
    ears = SpeechEncoder(SpeechEncoderSettings(vocab_size=letters.vocab_size, **shape), letters)
    ears.initialise(torch.Generator().manual_seed(3))
    model = Headed(ears, speech.head()).initialise_head(torch.Generator().manual_seed(4))
    with torch.no_grad():  # else it says the same whatever it hears
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    save_headed(model, folder / "ears", {"name": "transcribe", "context": 400, **speech.to_dict()})
    return folder


@pytest.fixture(scope="module")
def tasks(folder):
    with served([folder / name for name in ("moods", "vectors", "ears")], longest_recording=5.0) as serving:
        yield serving


@pytest.fixture(scope="module")
def asking(tasks):
    with openai.OpenAI(base_url=f"{tasks.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def test_vectors_are_those_of_predict_in_both_encodings(folder, asking):
    texts = ["the ink is black", "一滴墨", "a"]
    expected = [answer["vector"] for answer in predict(folder / "vectors", texts)]
    for form in ("float", "base64"):
        answer = asking.embeddings.create(model="vectors", input=texts, encoding_format=form)
        found = [each.embedding for each in answer.data]
        if form == "base64":
            found = [np.frombuffer(base64.b64decode(each), dtype="<f4") for each in found]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    answer = asking.embeddings.create(model="vectors", input=texts[0])  # the client asks for base64 and unpacks it
    assert answer.data[0].embedding == pytest.approx(expected[0], abs=1e-6)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


def test_vectors_of_tokens_are_those_of_their_text(tasks, asking):
    ids = tasks.house.models["vectors"].tokenizer.encode("the ink is black")
    both = asking.embeddings.create(model="vectors", input=[ids]), asking.embeddings.create(model="vectors", input=ids)
    text = asking.embeddings.create(model="vectors", input="the ink is black")
    assert both[0].data == both[1].data == text.data


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"input": ""}, 400),
        ({"input": []}, 400),
        ({"input": ["a", ""]}, 400),
        ({"input": [10**6]}, 400),
        ({"input": "a", "dimensions": 3}, 400),
        ({"input": "a", "model": "moods"}, 400),
        ({"input": "a", "model": "nobody"}, 404),
        ({"input": "a", "encoding_format": "hex"}, 400),
    ],
)
def test_what_has_no_vector(asking, asked, status):
    with pytest.raises(openai.APIStatusError) as refused:
        asking.post("/embeddings", body={"model": "vectors", **asked}, cast_to=object)
    assert refused.value.status_code == status and refused.value.response.json()["error"]["message"]


def test_a_task_answers_one_input_and_many_as_predict_does(folder, tasks):
    texts = ["the ink is black", {"text": "墨"}, "a" * 300]
    expected = predict(folder / "moods", texts)
    told = httpx.post(f"{tasks.url}/v1/tasks/moods", json={"inputs": texts}).json()
    assert (told["model"], told["task"], len(told["data"])) == ("moods", "classify", 3)
    for answer, wanted in zip(told["data"], expected, strict=True):
        assert answer["label"] == wanted["label"] and answer["probabilities"] == pytest.approx(wanted["probabilities"])
        assert answer.get("cut") == wanted.get("cut")
    assert told["data"][2]["cut"] is True
    one = httpx.post(f"{tasks.url}/v1/tasks/moods", json={"input": texts[0]}).json()
    assert one["data"][0]["label"] == expected[0]["label"]
    listed = httpx.get(f"{tasks.url}/v1/tasks").json()["data"]
    assert {each["id"]: each["task"] for each in listed} == {
        "moods": "classify",
        "vectors": "embed",
        "ears": "transcribe",
    }


@contextmanager
def busy(model):
    """While it goes on the model answers nothing, and what is asked waits; the sizes of what it is asked about together."""
    gate, told, sizes = threading.Event(), model.predictor.told, []

    def counted(examples):
        sizes.append(len(examples))
        return told(examples)

    model.predictor.told = counted
    begun = threading.Event()
    model.thread.submit(lambda: (begun.set(), gate.wait(60)))
    assert begun.wait(60)
    try:
        yield gate, sizes
    finally:
        gate.set()
        model.thread.submit(int).result(60)
        del model.predictor.told


def alike(answer: dict, expected: dict) -> bool:
    """The same but for rounding: a pass over other texts may add up in another order."""
    numbers = ("probabilities", "vector")
    return {name: value for name, value in answer.items() if name not in numbers} == {
        name: value for name, value in expected.items() if name not in ("input", *numbers)
    } and all(answer[name] == pytest.approx(expected[name], abs=1e-5) for name in numbers if name in expected)


@pytest.mark.parametrize("name", ["moods", "vectors"])
def test_requests_that_wait_are_asked_about_together_and_answered_as_alone(folder, tasks, name):
    model = tasks.house.models[name]
    asked = [["the ink is black"], ["墨", "a" * 300], ["ink"], ["black " * 3, "white", "grey"], ["a" * 200]]
    expected = [[predict(folder / name, [text])[0] for text in texts] for texts in asked]
    bad = [{"input": 7}, {"input": "a", "to": "en"}, {"inputs": ["ink", None]}]
    with ThreadPoolExecutor(9) as asking, busy(model) as (gate, sizes):

        def post(body: dict) -> httpx.Response:
            return httpx.post(f"{tasks.url}/v1/tasks/{name}", json=body, timeout=60)

        waiting = [asking.submit(post, {"inputs": texts}) for texts in asked]
        refused = [asking.submit(post, body) for body in bad]
        with socket.create_connection(("127.0.0.1", tasks.port)) as gone:  # it hangs up before its turn comes
            body = b'{"input": "never asked"}'
            head = f"POST /v1/tasks/{name} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            gone.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            while len(model.queue.waiting) < 9:
                time.sleep(0.01)
        while not any(each.answers.cancelled() for each in model.queue.waiting):
            time.sleep(0.01)
        gate.set()
        for texts, request in zip(expected, waiting, strict=True):
            answer = request.result()
            assert answer.status_code == 200
            assert all(alike(*pair) for pair in zip(answer.json()["data"], texts, strict=True)), (answer.text, texts)
        assert [each.result().status_code for each in refused] == [400, 400, 400]
        assert sizes == [8]


def test_an_error_of_the_model_ends_the_request_that_it_came_of_alone(folder, tasks):
    model = tasks.house.models["moods"]
    (expected,) = predict(folder / "moods", ["ink"])
    with ThreadPoolExecutor(3) as asking, busy(model) as (gate, sizes):
        counted = model.predictor.told

        def poisoned(examples):
            if any("poison" in str(example) for example in examples):
                raise RuntimeError("no answer to this one")
            return counted(examples)

        model.predictor.told = poisoned
        waiting = [
            asking.submit(httpx.post, f"{tasks.url}/v1/tasks/moods", json={"input": text}, timeout=60)
            for text in ("ink", "poison", "ink")
        ]
        while len(model.queue.waiting) < 3:
            time.sleep(0.01)
        gate.set()
        answers = [each.result() for each in waiting]
    assert [each.status_code for each in answers] == [200, 500, 200] and sizes == [1, 1]
    assert all(alike(answers[place].json()["data"][0], expected) for place in (0, 2))


def test_a_queue_has_a_length_and_is_left_at_the_end(folder):
    with served([folder / "moods"], longest_queue=2, shutdown_seconds=1) as serving:
        model = serving.house.models["moods"]
        with busy(model) as (gate, _), ThreadPoolExecutor(2) as asking:
            asked = {"url": f"{serving.url}/v1/tasks/moods", "json": {"input": "ink"}, "timeout": 60}
            waiting = [asking.submit(httpx.post, **asked) for _ in range(2)]
            while len(model.queue.waiting) < 2:
                time.sleep(0.01)
            refused = httpx.post(**asked)
            assert refused.status_code == 503 and refused.headers["retry-after"]
            assert refused.json()["error"]["code"] == "overloaded"
            gate.set()
            assert [each.result().status_code for each in waiting] == [200, 200]
    asked = TaskQueue(model.predictor, ThreadPoolExecutor(1), 2)
    asked.thread.submit(time.sleep, 0.2)
    answers = asked.ask(Questions(["ink"]))
    asked.close()
    assert answers.cancelled()


@pytest.mark.parametrize(
    ("path", "asked", "status"),
    [
        ("moods", {}, 400),
        ("moods", {"input": "a", "inputs": ["a"]}, 400),
        ("moods", {"inputs": []}, 400),
        ("moods", {"input": 7}, 400),
        ("moods", {"input": ["one", "two"]}, 400),
        ("moods", {"input": "a", "to": "en"}, 400),
        ("moods", {"input": "a", "language": "en"}, 400),
        ("moods", {"input": "a", "context": "b"}, 400),
        ("moods", {"input": "a", "file": "/etc/passwd"}, 400),
        ("nobody", {"input": "a"}, 404),
        ("ears", {"input": "/etc/hostname"}, 400),
        ("ears", {"input": {"audio": "ears.wav"}}, 400),
        ("ears", {"input": base64.b64encode(b"no sound at all").decode()}, 400),
    ],
)
def test_what_no_task_takes(tasks, path, asked, status):
    answer = httpx.post(f"{tasks.url}/v1/tasks/{path}", json=asked)
    assert answer.status_code == status and set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_no_path_in_a_request_reaches_the_file_system(tasks, tmp_path):
    (tmp_path / "secret.wav").write_bytes(recording())
    for given in (str(tmp_path / "secret.wav"), {"audio": str(tmp_path / "secret.wav")}):
        answer = httpx.post(f"{tasks.url}/v1/tasks/ears", json={"input": given})
        assert answer.status_code == 400 and "base64" in answer.json()["error"]["message"]


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_a_recording_is_heard_as_by_predict(folder, tasks, asking, tmp_path, form):
    sound = recording(form=form)
    (tmp_path / f"a.{form.lower()}").write_bytes(sound)
    (expected,) = predict(folder / "ears", [str(tmp_path / f"a.{form.lower()}")])
    assert expected["text"]
    told = asking.audio.transcriptions.create(model="ears", file=("a", sound))
    assert told.text == expected["text"]
    data = httpx.post(f"{tasks.url}/v1/tasks/ears", json={"input": base64.b64encode(sound).decode()}).json()["data"]
    assert data[0]["text"] == expected["text"] and data[0]["words"] == expected["words"]


def test_a_transcript_in_all_its_forms(tasks, asking):
    sound = recording(1.0, seed=1)
    whole = asking.audio.transcriptions.create(
        model="ears", file=("a.wav", sound), response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert whole.duration == pytest.approx(1.0) and whole.words and whole.segments
    assert whole.segments[0].start == whole.words[0].start and whole.segments[-1].end == whole.words[-1].end
    assert asking.audio.transcriptions.create(model="ears", file=sound, response_format="text") == whole.text + "\n"
    srt = asking.audio.transcriptions.create(model="ears", file=sound, response_format="srt")
    assert srt.startswith("1\n00:00:0") and " --> " in srt and srt.count("-->") == len(whole.segments)
    vtt = asking.audio.transcriptions.create(model="ears", file=sound, response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:0") and "," not in vtt.partition("-->")[0]


@pytest.mark.parametrize(
    ("form", "content", "words"),
    [
        ({}, b"no sound", "cannot be read as sound"),
        ({}, b"", "empty"),
        ({"temperature": "0.5"}, recording(), "temperature"),
        ({"stream": "true"}, recording(), "stream"),
        ({"prompt": "ink"}, recording(), "prompt"),
        ({"language": "en"}, recording(), "language"),
        ({"made_up": "1"}, recording(), "unknown parameter"),
        ({"response_format": "docx"}, recording(), "response_format"),
        ({"timestamp_granularities[]": "word"}, recording(), "verbose_json"),
        ({"model": "moods"}, recording(), "classify"),
        ({}, recording(6.0), "at most 5 s"),
    ],
)
def test_what_cannot_be_heard(tasks, form, content, words):
    answer = httpx.post(
        f"{tasks.url}/v1/audio/transcriptions", data={"model": "ears", **form}, files={"file": ("../../a.wav", content)}
    )
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]["message"]


def test_silence_has_no_words(asking):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(RATE), RATE, format="WAV")
    told = asking.audio.transcriptions.create(model="ears", file=file.getvalue(), response_format="verbose_json")
    assert told.text == "" and told.segments == []


def test_a_file_must_come(tasks):
    answer = httpx.post(f"{tasks.url}/v1/audio/transcriptions", data={"model": "ears"})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "file"
    broken = httpx.post(
        f"{tasks.url}/v1/audio/transcriptions",
        content=b"--x\r\nnonsense",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert broken.status_code == 400 and "error" in broken.json()


@pytest.mark.parametrize("name", ["to", "language", "context"])
def test_what_means_nothing_to_a_task_is_refused_by_its_name(tasks, name):
    told = httpx.post(f"{tasks.url}/v1/tasks/moods", json={"input": "a", name: "en"}).json()["error"]
    assert told["param"] == name and "classify" in told["message"]


@pytest.mark.parametrize("name", ["language", "timestamp_granularities[]", "stream"])
def test_what_a_translation_does_not_take_is_refused(tasks, name):
    answer = httpx.post(
        f"{tasks.url}/v1/audio/translations", data={"model": "ears", name: "1"}, files={"file": recording()}
    )
    told = answer.json()["error"]
    assert (answer.status_code, told["code"], told["param"]) == (400, "unknown_parameter", name)


def test_only_a_whisper_translates(asking):
    with pytest.raises(openai.BadRequestError, match="does not translate"):
        asking.audio.translations.create(model="ears", file=recording())


@pytest.mark.slow
def test_a_whisper_hears_and_translates(tmp_path):
    pytest.importorskip("transformers")
    from hub.whisper_checkpoints import whisper_checkpoint

    whisper_checkpoint(tmp_path / "whisper", seed=1, max_target_positions=10)
    sound = recording(1.3)
    (tmp_path / "a.wav").write_bytes(sound)
    with served([tmp_path / "whisper"]) as serving:
        with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
            for language in ("de", None):
                (expected,) = predict(tmp_path / "whisper", [str(tmp_path / "a.wav")], language=language)
                given = {} if language is None else {"language": language}
                told = client.audio.transcriptions.create(
                    model="whisper", file=sound, response_format="verbose_json", **given
                )
                assert (told.text, told.language) == (expected["text"], expected["language"])
                assert [each.text for each in told.segments] == [each["text"].strip() for each in expected["segments"]]
            (expected,) = predict(tmp_path / "whisper", [str(tmp_path / "a.wav")], to="en")
            assert client.audio.translations.create(model="whisper", file=sound).text == expected["text"]
            with pytest.raises(openai.BadRequestError, match="language"):
                client.audio.transcriptions.create(model="whisper", file=sound, language="xx")


@pytest.mark.slow
def test_attention_reads_no_file_of_the_server(tmp_path):
    pytest.importorskip("transformers")
    from hub.whisper_checkpoints import whisper_checkpoint

    whisper_checkpoint(tmp_path / "whisper", seed=1, max_target_positions=10)
    (tmp_path / "a.wav").write_bytes(recording(seed=1))
    with served([tmp_path / "whisper"]) as serving:
        asked = f"{serving.url}/studio/api"
        (described,) = httpx.get(f"{asked}/models").json()["data"]
        assert described["attention"] is False
        for path in (tmp_path / "a.wav", tmp_path / "none.wav"):  # the answer does not tell which of them is there
            answer = httpx.post(f"{asked}/attention", json={"model": "whisper", "text": str(path)}, timeout=60)
            assert answer.status_code == 400 and "hears recordings" in answer.json()["error"]["message"]
