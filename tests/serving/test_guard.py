"""Who is let in, and what becomes of requests that are too large, too slow, too deep, too many, or no HTTP at all."""

import asyncio
import json
import re
import shutil
import socket
import time

import httpx
import pytest

from inkstone.serving import http_protocol
from inkstone.serving.guard import Rates
from inkstone.serving.settings import ServingError, ServingSettings, read_keys

from .servers import served

KEY = "sk-ink-0123456789"
ASKED = {"model": "base", "prompt": "ink", "max_tokens": 2}
FORM = {"message", "type", "param", "code"}


def error_of(answer: httpx.Response) -> dict:
    told = answer.json()
    assert set(told) == {"error"} and set(told["error"]) == FORM and told["error"]["message"]
    return told["error"]


def raw(port: int, data: bytes, seconds: float = 10.0, end: bool = False) -> bytes:
    """What the server says to bytes that are sent as they are."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        found = b""
        try:
            while part := connection.recv(65536):
                found += part
        except (TimeoutError, ConnectionResetError):
            pass
        return found


def request(body: bytes, path: str = "/v1/completions", **headers: str) -> bytes:
    """An HTTP request, after which the connection is closed."""
    given = {"host": "localhost", "content-type": "application/json", "connection": "close", **headers}
    given = {"content-length": str(len(body))} | {name.replace("_", "-"): value for name, value in given.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def still_serves(server) -> bool:
    return httpx.post(f"{server.url}/v1/completions", json=ASKED, timeout=60).status_code == 200


@pytest.fixture(scope="module")
def locked(base_folder):
    """A server with a key, which a page of another origin may ask."""
    with served([base_folder], keys=(KEY, "another-key"), allow_origins=("https://ink.example",)) as serving:
        yield serving


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong-key-here"},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"x-api-key": "ä"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/openapi.json", "/v1/completions", "/studio/api/runs"])
def test_without_a_key_nothing_is_told(locked, path, headers):
    send = httpx.post if "completions" in path else httpx.get
    answer = send(f"{locked.url}{path}", headers={name: value.encode() for name, value in headers.items()})
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert error_of(answer)["code"] == "invalid_api_key" and KEY not in answer.text


@pytest.mark.parametrize(
    "headers", [{"authorization": f"Bearer {KEY}"}, {"authorization": "bearer another-key"}, {"x-api-key": KEY}]
)
def test_with_a_key_all_is_served(locked, headers):
    assert httpx.get(f"{locked.url}/v1/models", headers=headers).status_code == 200
    assert httpx.post(f"{locked.url}/v1/completions", json=ASKED, headers=headers, timeout=60).status_code == 200


def test_whether_it_lives_anyone_may_ask(locked):
    assert httpx.get(f"{locked.url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{locked.url}/ready").json()["status"] == "ready"
    assert httpx.post(f"{locked.url}/health").status_code == 401


def test_a_page_of_another_origin_is_let_in_by_name_alone(server, locked):
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "https://ink.example.evil", "http://[bad"):
        answer = httpx.post(f"{server.url}/v1/completions", json=ASKED, headers={"origin": origin})
        assert answer.status_code == 403 and error_of(answer)["code"] == "unknown_origin"
        assert "access-control-allow-origin" not in answer.headers
    own = httpx.post(f"{server.url}/v1/completions", json=ASKED, headers={"origin": server.url}, timeout=60)
    assert own.status_code == 200 and "access-control-allow-origin" not in own.headers
    asks = {"origin": "https://ink.example", "access-control-request-method": "POST"}
    before = httpx.options(f"{locked.url}/v1/completions", headers=asks)
    assert before.status_code == 204 and before.headers["access-control-allow-origin"] == "https://ink.example"
    own = "authorization,content-type,x-stainless-lang,x-stainless-os"  # as OpenAI's client in a page asks
    before = httpx.options(f"{locked.url}/v1/completions", headers={**asks, "access-control-request-headers": own})
    assert before.headers["access-control-allow-headers"] == own
    headers = {"origin": "https://ink.example", "authorization": f"Bearer {KEY}"}
    answer = httpx.post(f"{locked.url}/v1/completions", json=ASKED, headers=headers, timeout=60)
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "https://ink.example"
    refused = httpx.post(f"{locked.url}/v1/completions", json=ASKED, headers={"origin": "https://ink.example"})
    assert refused.status_code == 401 and refused.headers["access-control-allow-origin"] == "https://ink.example"


def test_a_stranger_s_name_for_this_machine_is_refused(server, base_folder):
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::2]"):
        answer = httpx.post(f"{server.url}/v1/completions", json=ASKED, headers={"host": host})
        assert answer.status_code == 403 and error_of(answer)["code"] == "unknown_host"
    for host in ("localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:8000"):
        assert httpx.get(f"{server.url}/v1/models", headers={"host": host}).status_code == 200
    with served([base_folder], allow_hosts=("ink.local",)) as named:
        assert httpx.get(f"{named.url}/v1/models", headers={"host": "ink.local:8000"}).status_code == 200


def test_keys_come_from_the_environment_and_from_a_file(monkeypatch, tmp_path):
    file = tmp_path / "keys"
    file.write_text("first-key-1  # of the studio\n\n# nothing\nsecond-key-2\n", encoding="utf-8")
    monkeypatch.setenv("INKSTONE_API_KEYS", "third-key-3, first-key-1,")
    assert read_keys(file) == ("third-key-3", "first-key-1", "second-key-2")
    monkeypatch.delenv("INKSTONE_API_KEYS")
    assert read_keys(None) == ()
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(ServingError, match="cannot be read"):
            read_keys(wrong)
    file.write_text("# none\n", encoding="utf-8")
    with pytest.raises(ServingError, match="no API key"):
        read_keys(file)


def test_without_keys_only_this_machine_is_let_in():
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(ServingError, match="--open"):
            ServingSettings(host=host)
        ServingSettings(host=host, open=True)
        ServingSettings(host=host, keys=(KEY,))
    with pytest.raises(ServingError, match="characters"):
        ServingSettings(keys=("short",))
    for setting in ({"port": 70000}, {"slots": 0}, {"request_seconds": -1}, {"requests_a_minute": -1}):
        with pytest.raises(ServingError, match="must be"):
            ServingSettings(**setting)


def test_a_bucket_of_requests_fills_with_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    rates = Rates(2)
    assert [rates.wait("a"), rates.wait("a")] == [0.0, 0.0]
    assert rates.wait("a") == pytest.approx(30.0) and rates.wait("b") == 0.0
    now[0] += 31
    assert rates.wait("a") == 0.0 and rates.wait("a") > 0
    now[0] += 3600
    assert [rates.wait("a") for _ in range(3)][:2] == [0.0, 0.0] and rates.wait("a") > 0
    assert Rates(0).wait("a") == 0.0


def test_who_asks_too_often_hears_when_to_ask_again(base_folder):
    with served([base_folder], requests_a_minute=2, keys=(KEY, "another-key")) as serving:
        mine, other = ({"authorization": f"Bearer {key}"} for key in (KEY, "another-key"))
        codes = [httpx.post(f"{serving.url}/v1/completions", json=ASKED, headers=mine, timeout=60) for _ in range(3)]
        assert [each.status_code for each in codes] == [200, 200, 429]
        assert 1 <= int(codes[2].headers["retry-after"]) <= 30
        assert error_of(codes[2])["type"] == "rate_limit_error"
        assert httpx.post(f"{serving.url}/v1/completions", json=ASKED, headers=other, timeout=60).status_code == 200


def test_reads_have_a_rate_of_their_own_and_who_watches_none(base_folder):
    with served([base_folder], requests_a_minute=2, keys=(KEY,)) as serving:
        headers = {"authorization": f"Bearer {KEY}"}
        paths = ("/v1/models", "/studio/api/runs")
        codes = [httpx.get(f"{serving.url}{paths[n % 2]}", headers=headers) for n in range(21)]
        assert [each.status_code for each in codes] == [200] * 20 + [429]
        assert int(codes[-1].headers["retry-after"]) >= 1 and "that read" in error_of(codes[-1])["message"]
        for path in ("/health", "/ready", "/metrics", "/"):
            assert [httpx.get(f"{serving.url}{path}", headers=headers).status_code for _ in range(25)] == [200] * 25
        assert httpx.post(f"{serving.url}/v1/completions", json=ASKED, headers=headers, timeout=60).status_code == 200


def test_no_more_requests_are_under_way_than_may_be(base_folder):
    with served([base_folder], most_requests=1, receive_seconds=30.0) as serving:
        with socket.create_connection(("127.0.0.1", serving.port)) as slow:
            slow.sendall(request(b"", content_length="5"))  # its body never comes
            for _ in range(200):
                answer = httpx.post(f"{serving.url}/v1/completions", json=ASKED, timeout=60)
                if answer.status_code == 503:
                    break
                time.sleep(0.02)
            assert answer.status_code == 503 and answer.headers["retry-after"] == "1" and error_of(answer)
            assert httpx.get(f"{serving.url}/health").status_code == 200
        for _ in range(200):
            if httpx.post(f"{serving.url}/v1/completions", json=ASKED, timeout=60).status_code == 200:
                return
            time.sleep(0.02)
        pytest.fail("the place was not given back")


def test_what_is_no_json_is_told_by_its_place(server):
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{server.url}/v1/completions", content=b'{"model": ', headers=headers, timeout=60)
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["param"] is None
    assert re.search(r"no JSON: .*, at character 10$", error["message"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no body"),
        (b"{", "no JSON"),
        (b"\xff\xfe{}", ""),
        (b'{"prompt": "\xff"}', "body"),
        (b"[" * 100_000, "deeper"),
        (b'{"a":' * 100_000, "deeper"),
        (b'{"logit_bias": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}", "deeper"),
        (b'{"prompt": 1e999}', "prompt"),
        (b'{"seed": ' + b"9" * 10_000 + b"}", "body"),
        (b'{"temperature": NaN}', "temperature"),
        (b'{"temperature": Infinity}', "temperature"),
        (b'{"prompt": "\\ud800"}', "prompt"),
        (b'{"\\ud800": 1}', ""),
        (b"null", "object"),
        (b"[]", ""),
        (b'"text"', ""),
        (b'{"model": "base", "prompt": "' + b"ink " * 400_000 + b'"}', "tokens"),
    ],
)
def test_what_is_no_request_is_answered_and_the_next_one_served(server, body, words):
    answer = raw(server.port, request(body), seconds=60)
    head, _, told = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400"), answer[:300]
    error = json.loads(told)["error"]
    assert set(error) == FORM and words in error["message"] and len(error["message"]) < 3000
    assert still_serves(server)


def test_a_request_that_is_too_large_hears_so(server):
    body = b'{"model": "base", "prompt": "' + b"a" * (10 << 20) + b'"}'
    answer = httpx.post(
        f"{server.url}/v1/completions", content=body, headers={"content-type": "application/json"}, timeout=60
    )
    assert answer.status_code == 413 and "4,194,304" in error_of(answer)["message"]
    chunked = httpx.post(f"{server.url}/v1/completions", content=iter([body[:65536]] * 200), timeout=60)
    assert chunked.status_code == 413
    assert still_serves(server)


def test_another_kind_of_body_is_not_taken_for_json(server):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = httpx.post(
            f"{server.url}/v1/completions", content=json.dumps(ASKED).encode(), headers={"content-type": kind}
        )
        assert answer.status_code == 400 and "application/json" in error_of(answer)["message"]


def test_who_sends_too_slowly_is_let_go(base_folder, monkeypatch):
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.3)
    with served([base_folder], receive_seconds=0.3) as serving:
        assert raw(serving.port, b"") == b""  # says nothing
        assert raw(serving.port, b"POST /v1/completions HTTP/1.1\r\nhost: localh") == b""
        answer = raw(serving.port, request(b'{"prompt', content_length="100"))
        assert answer.startswith(b"HTTP/1.1 408") and b"timeout" in answer
        with socket.create_connection(("127.0.0.1", serving.port), timeout=10) as connection:
            began = time.monotonic()
            with pytest.raises(OSError):  # letter by letter; in the end nobody is there
                while time.monotonic() - began < 10:
                    connection.sendall(b"x")
                    time.sleep(0.05)
        assert still_serves(serving)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 200,  # the greeting of TLS
    ],
)
def test_what_is_no_http_ends_its_own_connection(server, data):
    answer = raw(server.port, data, seconds=20, end=True)
    assert answer == b"" or (answer.startswith(b"HTTP/1.1 40") and b'"error"' in answer)
    assert still_serves(server)


def test_a_request_that_breaks_off_leaves_nothing_behind(server):
    for cut in (10, 60, 200):
        raw(server.port, request(json.dumps(ASKED).encode())[:cut], end=True)
    assert still_serves(server)
    assert httpx.get(f"{server.url}/metrics").text.count("inkstone_requests_under_way 1.0") == 1  # this one itself


def test_unknown_places_and_methods_are_named_in_the_form_of_the_api(server):
    answer = httpx.get(f"{server.url}/v1/nothing")
    assert answer.status_code == 404 and "/v1/nothing" in error_of(answer)["message"]
    assert httpx.delete(f"{server.url}/v1/models").status_code == 405
    assert httpx.get(f"{server.url}/v1/models/nobody").status_code == 404
    for path in ("/studio/../settings.py", "/studio/%2e%2e/settings.py", "/..%2f..%2fetc/passwd"):
        assert (
            raw(server.port, f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())[9:12]
            == b"404"
        )


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "(" * 50 + "a{1000}" + "){1000}" * 50},
        {"$ref": "#"},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 3},
        {"anyOf": [{"type": "object", "properties": {f"p{n}{m}": {"type": "integer"} for m in range(40)}} for n in range(60)]},
        {"type": "object", "properties": {f"p{n}": {} for n in range(2000)}},
        {"type": "string", "minLength": 10**9},
        {"type": "array", "minItems": 10**9, "items": {"type": "integer"}},
        {"enum": [str(n) * 5 for n in range(30_000)]},
    ],
)  # fmt: skip
def test_a_schema_made_to_harm_harms_nobody_else(server, schema):
    asked = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "a"}],
        "max_tokens": 5,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    }
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=asked, timeout=120)
    assert answer.status_code in (200, 400), answer.text
    assert still_serves(server)


def test_a_folder_that_vanishes_or_is_cut_short_ends_nothing(base_folder, tmp_path):
    shutil.copytree(base_folder, tmp_path / "going")
    with served([tmp_path / "going"]) as serving:
        asked = {**ASKED, "model": "going", "temperature": 0, "max_tokens": 8}
        before = httpx.post(f"{serving.url}/v1/completions", json=asked, timeout=60).json()["choices"]
        weights = tmp_path / "going" / "model.safetensors"
        with weights.open("r+b") as file:
            file.truncate(100)
        assert httpx.post(f"{serving.url}/v1/completions", json=asked, timeout=60).json()["choices"] == before
        shutil.rmtree(tmp_path / "going")
        assert httpx.post(f"{serving.url}/v1/completions", json=asked, timeout=60).json()["choices"] == before


def test_an_error_of_the_server_itself_tells_nothing_of_its_inside(server, monkeypatch, caplog):
    def broken(*_):
        raise ValueError("the secret of the house")

    monkeypatch.setattr("inkstone.serving.completion_routes.texts_to_write", lambda *_, **__: broken())
    answer = httpx.post(f"{server.url}/v1/completions", json=ASKED)
    assert answer.status_code == 500 and error_of(answer)["type"] == "server_error"
    assert "secret" not in answer.text and "secret" in caplog.text


def test_an_answer_that_takes_too_long_is_given_up(base_folder):
    with served([base_folder], request_seconds=0.05) as serving:
        asked = {**ASKED, "max_tokens": 200, "n": 8}
        answer = httpx.post(f"{serving.url}/v1/completions", json=asked, timeout=60)
        assert answer.status_code == 408 and error_of(answer)["code"] == "timeout"
        facts = serving.house.models["base"].engine
        for _ in range(200):
            if not facts.facts.running and not facts.facts.waiting:
                break
            time.sleep(0.05)
        assert not facts.facts.running


def test_what_is_said_does_not_come_into_the_log(server, caplog):
    caplog.set_level("DEBUG")
    httpx.post(f"{server.url}/v1/completions", json={**ASKED, "prompt": "a secret that is mine"}, timeout=60)
    httpx.post(f"{server.url}/v1/completions", json={**ASKED, "temperature": "a secret that is mine"})
    assert "/v1/completions 200" in caplog.text and "secret" not in caplog.text


def test_metrics_are_what_prometheus_reads(server):
    from prometheus_client.parser import text_string_to_metric_families

    still_serves(server)
    families = {
        family.name: family for family in text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
    }
    written = {each.labels["model"]: each.value for each in families["inkstone_written_tokens"].samples}
    assert written["base"] >= 2
    first = families["inkstone_time_to_first_token_seconds"].samples
    count = next(each.value for each in first if each.name.endswith("_count") and each.labels["model"] == "base")
    assert count >= 1
    paths = {each.labels.get("path") for each in families["inkstone_requests"].samples}
    assert "/v1/completions" in paths and not any("nobody" in str(path) for path in paths)


def test_a_server_about_to_stop_says_so(server):
    server.house.closing = True
    try:
        assert httpx.get(f"{server.url}/ready").status_code == 503
        answer = httpx.post(f"{server.url}/v1/completions", json=ASKED)
        assert answer.status_code == 503 and answer.headers["retry-after"] and error_of(answer)
    finally:
        server.house.closing = False


def test_other_protocols_of_the_application_pass_the_guard(server):
    from inkstone.serving.guard import Guard

    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(Guard(app, server.house)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
