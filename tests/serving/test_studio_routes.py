"""What the studio asks, by the requests it makes."""

import base64

import httpx
import numpy as np
import pytest
import torch

from inkstone.explain.attention_maps import attention_maps
from inkstone.hub.folder import load


def post(server, path: str, **body):
    return httpx.post(f"{server.url}/studio/api/{path}", json=body, timeout=60)


def test_models_say_what_they_can_do(server):
    found = {each["id"]: each for each in httpx.get(f"{server.url}/studio/api/models").json()["data"]}
    assert found["tiny"]["kind"] == "chat"
    assert found["base"] == {
        "id": "base", "kind": "text", "context": 256, "family": "decoder", "attention": True,
        "parameters": found["tiny"]["parameters"],
    }  # fmt: skip
    assert found["base"]["parameters"] > 10_000


def test_probabilities_are_those_of_the_model(server, base_folder):
    text = "the ink is 砚 black"
    tokens = post(server, "probabilities", model="base", text=text).json()["tokens"]
    model = load(base_folder, device="cpu")
    ids = model.tokenizer.encode(text)
    begin = model.tokenizer.begin
    assert [token["token"] for token in tokens] == [model.tokenizer.token_text(number) for number in ids]
    with torch.no_grad():
        scores, _ = model.step(torch.tensor([[*begin, *ids]]), model.start(1))
    expected = scores[0, :-1].gather(1, torch.tensor([*begin, *ids])[1:, None])[:, 0].tolist()[len(begin) - 1 :]
    assert [token["log_probability"] for token in tokens] == pytest.approx(expected, abs=1e-4)
    for token in tokens:
        likelier = [other["log_probability"] for other in token["alternatives"]]
        assert len(likelier) == 5 and likelier == sorted(likelier, reverse=True)
        assert 0 <= token["entropy"] <= np.log2(model.tokenizer.vocab_size)


def test_attention_is_that_of_the_model(server, base_folder):
    found = post(server, "attention", model="base", text="ink and paper").json()["maps"]["decoder"]
    model = load(base_folder, device="cpu")
    ids = [*model.tokenizer.begin, *model.tokenizer.encode("ink and paper")]
    assert found["rows"] == found["columns"] == [model.tokenizer.token_text(number) for number in ids]
    shape = (found["layers"], found["heads"], len(ids), len(ids))
    weights = np.frombuffer(base64.b64decode(found["weights"]), "<u2").reshape(shape) / 65535
    np.testing.assert_allclose(weights, attention_maps(model, ids)["decoder"].numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("attention", {"model": "base", "text": ""}, 400, "text"),
        ("attention", {"model": "nothing", "text": "a"}, 404, "nothing"),
        ("attention", {"model": "base", "text": "ink and paper " * 200}, 400, "tokens"),
        ("probabilities", {"model": "base", "text": "ink and paper " * 60}, 400, "tokens"),
        ("probabilities", {"model": "base", "text": "a", "other": 1}, 400, "other"),
    ],
)
def test_what_cannot_be_is_refused_in_words(server, path, body, status, words):
    answer = post(server, path, **body)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
