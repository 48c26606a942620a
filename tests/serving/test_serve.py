"""The command `inkstone serve`: what it refuses, how it ends, and several processes behind one port."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from inkstone.cli import main
from inkstone.errors import MissingExtraError
from inkstone.serving import serve as module
from inkstone.serving.serve import require_packages, serve
from inkstone.serving.settings import ServingError

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and shared sockets are otherwise on Windows")


def test_the_packages_of_the_extra_are_named(monkeypatch):
    monkeypatch.setattr(module, "PACKAGES", ("fastapi", "no_such_package"))
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'inkstone[serve]'")):
        require_packages()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "--open"),
        (["--keys", "no-such-file"], "cannot be read"),
        (["--slots", "0"], "slots"),
        (["--workers", "0"], "workers"),
        (["--port", "99999"], "port"),
        (["--studio", "no-such-place/runs"], "to make it in"),
        (["--studio", __file__], "is a file"),
        (["--host", "192.0.2.77", "--open"], "cannot be listened on"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(base_folder, capsys, options, words):
    assert main(["serve", str(base_folder), *options]) == 2
    told = capsys.readouterr().err
    assert words in told and "Traceback" not in told


def test_a_port_that_is_taken_is_said_before_a_model_is_opened(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "no-such-folder", "--port", str(port)]) == 2
    assert "choose another --port" in capsys.readouterr().err


def test_an_unknown_setting_and_two_models_of_one_name(base_folder, tmp_path):
    with pytest.raises(ServingError, match="'slots'"):
        serve(base_folder, slot=3)
    with pytest.raises(ServingError, match="NAME="):
        serve([base_folder, base_folder], port=0)


@pytest.fixture
def command(base_folder):
    """Starts `inkstone serve` with these options; its process and address, once it is ready."""
    processes = []

    def start(*options: str) -> tuple[subprocess.Popen, str]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = [
            sys.executable,
            "-m",
            "inkstone",
            "serve",
            f"ink={base_folder}",
            "--port",
            str(port),
            "--json",
            *options,
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        processes.append(process)
        for _ in range(1200):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/ready", timeout=60).status_code == 200:
                    return process, f"http://127.0.0.1:{port}"
            except httpx.TransportError:
                assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
                time.sleep(0.1)
        raise AssertionError("the server was never ready")

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@posix
@pytest.mark.slow
def test_told_to_stop_under_load_it_answers_what_is_under_way(command):
    process, address = command("--slots", "2", "--shutdown-seconds", "60")
    asked = {"model": "ink", "prompt": "the ink", "max_tokens": 100, "seed": 1}
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(httpx.post(f"{address}/v1/completions", json=asked, timeout=120))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(400):
        if "inkstone_texts_under_way" in (told := httpx.get(f"{address}/metrics", timeout=60).text) and re.search(
            r'texts_under_way\{model="ink"\} [12]', told
        ):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    for thread in threads:
        thread.join()
    assert process.returncode == 0, err
    told = [each for each in answers if each.status_code == 200]
    assert told and len({each.json()["choices"][0]["text"] for each in told}) == 1
    assert all(each.status_code in (200, 503) for each in answers)
    assert json.loads(out)["models"] == ["ink"]


@posix
@pytest.mark.slow
def test_the_time_to_end_has_a_bound(command):
    process, address = command("--slots", "1", "--shutdown-seconds", "1")
    asked = {"model": "ink", "prompt": "a", "max_tokens": 240, "n": 100, "stream": True}
    with httpx.stream("POST", f"{address}/v1/completions", json=asked, timeout=60) as answer:
        lines = answer.iter_lines()
        next(lines)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
        try:
            rest = list(lines)
        except httpx.TransportError:
            rest = []
        assert "data: [DONE]" not in rest


def total(address: str, name: str, **labels: str) -> float:
    """The sum of a metric over all samples with these labels."""
    from prometheus_client.parser import text_string_to_metric_families

    with httpx.Client() as fresh:  # a connection of its own, which any of the processes may take
        told = fresh.get(f"{address}/metrics", timeout=60).raise_for_status().text
    samples = (each for family in text_string_to_metric_families(told) for each in family.samples)
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


@posix
@pytest.mark.slow
def test_several_processes_serve_one_port_and_one_that_dies_is_begun_anew(command):
    import psutil

    process, address = command("--workers", "2")
    asked = {"model": "ink", "prompt": "the ink", "max_tokens": 8, "temperature": 0}
    texts = {
        httpx.post(f"{address}/v1/completions", json=asked, timeout=60).json()["choices"][0]["text"] for _ in range(6)
    }
    assert len(texts) == 1

    def workers() -> set[int]:
        found = set()
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.Error):  # one that has just died
                if any("spawn_main" in word for word in child.cmdline()):
                    found.add(child.pid)
        return found

    for _ in range(600):
        if total(address, "inkstone_slots") == 16:  # eight of each: both are ready
            break
        time.sleep(0.1)
    first = workers()
    assert len(first) == 2
    os.kill(min(first), signal.SIGKILL)
    for _ in range(600):
        if len(workers() - first) == 1:
            break
        time.sleep(0.1)
    assert len(workers() - first) == 1
    assert httpx.post(f"{address}/v1/completions", json=asked, timeout=60).status_code == 200
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert not any(psutil.pid_exists(pid) for pid in first)


@posix
@pytest.mark.slow
def test_the_counts_of_all_processes_are_one(command):
    import psutil

    process, address = command("--workers", "2")
    asked = {"model": "ink", "prompt": "the ink", "max_tokens": 4, "temperature": 0}
    written = 0
    for _ in range(12):
        written += httpx.post(f"{address}/v1/completions", json=asked, timeout=60).json()["usage"]["completion_tokens"]
    path = {"path": "/v1/completions"}
    for _ in range(8):
        assert total(address, "inkstone_requests_total", **path) == 12
        assert total(address, "inkstone_request_seconds_count", **path) == 12
        assert total(address, "inkstone_written_tokens_total") == written
        assert total(address, "inkstone_slots") == 16  # eight of each
    children = psutil.Process(process.pid).children()
    serving = [each for each in children if any("spawn_main" in word for word in each.cmdline())]
    os.kill(serving[0].pid, signal.SIGKILL)
    for _ in range(600):
        with contextlib.suppress(httpx.HTTPError):  # a connection that the one that died had taken
            if total(address, "inkstone_slots") == 16:
                break
        time.sleep(0.1)
    assert total(address, "inkstone_requests_total", **path) == 12
    assert total(address, "inkstone_written_tokens_total") == written
