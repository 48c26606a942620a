"""Runs, texts and marks through the server: what a page can do, and what no request can reach."""

import json
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from inkstone.recipe import Recipe, with_settings
from inkstone.run import Run
from inkstone.serving import studio as studio_module
from inkstone.text.preferences import preference_in
from training.small_runs import MACHINE

from .servers import served, write_decoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("studio") / "runs"


@pytest.fixture(scope="module")
def server(folder):
    with served([write_decoder(folder / "tiny")], studio=folder) as running:
        running.listening.app.state.studio.machine = MACHINE
        yield running


@pytest.fixture(scope="module")
def page(server):
    with httpx.Client(base_url=f"{server.url}/studio/api", timeout=120) as client:
        yield client


def mark(kind="up", answer="Soot.", question="What is ink?", **more):
    return {
        "kind": kind,
        "messages": [{"role": "user", "content": question}],
        "answer": answer,
        "model": "tiny",
        **more,
    }


def sent(page, name, content):
    number = page.post("/data", json={"name": name, "bytes": len(content)}).json()["id"]
    half = len(content) // 2
    assert page.put(f"/data/{number}", params={"at": 0}, content=content[:half]).json()["text"] is None
    whole = page.put(f"/data/{number}", params={"at": half}, content=content[half:]).json()["text"]
    assert whole["id"] == number
    return number


def test_texts_that_are_looked_at_for_long_hold_up_nobody_else(server, page, monkeypatch):
    number, done = sent(page, "a.txt", b"the ink is black"), threading.Event()
    monkeypatch.setattr(studio_module, "inspected", lambda *_: {"waited": done.wait(60)})
    with ThreadPoolExecutor(40) as looking:  # more than asyncio has threads for all that blocks
        looks = [looking.submit(page.get, f"/data/{number}") for _ in range(40)]
        try:
            while sum(not look.done() for look in looks) > studio_module.MOST_LOOKS:  # the others are refused at once
                time.sleep(0.02)
            answer = httpx.post(f"{server.url}/v1/completions", json={"prompt": "a", "max_tokens": 2}, timeout=20)
        finally:
            done.set()
        assert answer.status_code == 200
        codes = [look.result().status_code for look in looks]
        assert codes.count(200) == studio_module.MOST_LOOKS and codes.count(503) == 40 - studio_module.MOST_LOOKS
    page.delete(f"/data/{number}")


def test_marks_are_kept_listed_exported_and_taken_back(page, folder):
    kept = page.post("/feedback", json=mark("better", other="Paint.", other_model="x", settings={"seed": 1})).json()
    up, down = (page.post("/feedback", json=mark(*each)).json() for each in (("up", "A", "Q"), ("down", "B", "Q")))
    lone = page.post("/feedback", json=mark("up", "alone", "Else?", other="not said of it")).json()
    assert lone["other"] is None and kept["settings"] == {"seed": 1}
    told = page.get("/feedback", params={"limit": 2}).json()
    assert [each["id"] for each in told["marks"]] == [lone["id"], down["id"]]
    older = page.get("/feedback", params={"before": down["made"]}).json()["marks"]
    assert [each["id"] for each in older] == [up["id"], kept["id"]]
    assert told["counts"] == {"up": 2, "down": 1, "better": 1}
    lesson = told["lesson"]
    assert (lesson["pairs"], lesson["ups"], lesson["downs"], lesson["ready"], lesson["least"]) == (2, 1, 0, None, 20)
    answer = page.get("/feedback/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="pairs.jsonl"'
    pairs = [preference_in(json.loads(line), "1")[0] for line in answer.text.splitlines()]
    assert [(each.chosen, each.rejected) for each in pairs] == [("Soot.", "Paint."), ("A", "B")]
    good = [json.loads(line) for line in page.get("/feedback/export", params={"form": "examples"}).text.splitlines()]
    assert [each["messages"][-1]["content"] for each in good] == ["A", "alone"]
    assert len(page.get("/feedback/export", params={"form": "marks"}).text.splitlines()) == 4
    for each in (kept, up, down, lone):
        assert page.delete(f"/feedback/{each['id']}").json()["deleted"]
    assert page.delete(f"/feedback/{up['id']}").status_code == 404
    assert page.get("/feedback").json()["marks"] == [] and (folder / "feedback.sqlite").is_file()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (mark(""), "kind"),
        (mark(answer=" "), "the answer is empty"),
        (mark("better"), "needs the other answer"),
        ({**mark(), "messages": []}, "messages"),
        ({**mark(), "messages": [{"role": "assistant", "content": "a"}]}, "a user's last"),
        ({**mark(), "path": "/etc"}, "unknown parameter"),
        ([1], "JSON object"),
    ],
)
def test_what_is_no_mark_is_refused_in_the_form_of_the_api(page, body, reason):
    answer = page.post("/feedback", json=body)
    assert answer.status_code == 400 and reason in answer.json()["error"]["message"]


def test_a_damaged_store_is_said_and_the_server_lives_on(page, server, folder):
    page.post("/feedback", json=mark())
    whole = (folder / "feedback.sqlite").read_bytes()
    for beside in ("-wal", "-shm"):
        (folder / f"feedback.sqlite{beside}").unlink(missing_ok=True)
    (folder / "feedback.sqlite").write_bytes(b"\0" * 4096)
    for answer in (page.post("/feedback", json=mark()), page.get("/feedback"), page.get("/feedback/export")):
        assert answer.status_code == 503 and "is damaged" in answer.json()["error"]["message"]
    assert httpx.get(f"{server.url}/health").status_code == 200
    (folder / "feedback.sqlite").write_bytes(whole)
    assert page.get("/feedback").json()["counts"]["up"] == 1
    with sqlite3.connect(folder / "feedback.sqlite") as database:
        database.execute("DELETE FROM marks")


def test_a_text_is_sent_looked_at_planned_with_and_forgotten(page):
    lines = [f"Number {n}: the ink of the {n * 7 % 31} stones ran down the paper in {n} lines." for n in range(40)]
    records = [
        *lines,
        lines[0],
        lines[1] + " And more.",
        "short",
        "墨是用松烟和胶做成的，写字之前要在砚上加水慢慢地磨。",
    ]
    number = sent(page, "my notes.jsonl", "".join(json.dumps({"text": each}) + "\n" for each in records).encode())
    assert [each["name"] for each in page.get("/data").json()["texts"]] == ["my notes.jsonl"]
    told = page.get(f"/data/{number}", params={"tokenizer": "tiny"}).json()
    assert told["documents"] == 44 and told["kept_documents"] + sum(d["documents"] for d in told["dropped"]) == 44
    reasons = {each["reason"]: each for each in told["dropped"]}
    assert reasons["duplicate"]["examples"][0][0] == "my notes.jsonl#40" and "too short" in reasons
    kept = next(group for group in told["groups"] if group["kept"]["id"] == "my notes.jsonl#0")
    assert kept["copies"][0] == {"id": "my notes.jsonl#40", "text": lines[0], "exact": True}
    assert told["tokens"]["tokenizer"] == "tiny" and told["tokens"]["count"] > 500 and told["languages"]
    assert "studio" not in json.dumps(told)
    planned = page.post("/jobs/preview", json={"text": number, "minutes": 2, "settings": {"model.width": 32}}).json()
    chosen = {each["name"]: each for each in planned["choices"]}
    assert chosen["width × layers"]["value"].startswith("32 ×") and planned["predicted"]["steps"] > 0
    assert page.delete(f"/data/{number}").json()["deleted"]
    assert page.get(f"/data/{number}").status_code == 404


def test_what_is_no_text_is_refused(page):
    number = page.post("/data", json={"name": "a.txt", "bytes": 400}).json()["id"]
    answer = page.put(f"/data/{number}", params={"at": 0}, content=b"\x7fELF" + bytes(396))
    assert answer.status_code == 400 and "a binary file" in answer.json()["error"]["message"]
    assert page.put(f"/data/{number}", params={"at": 0}, content=b"x").status_code == 404
    assert page.post("/data", json={"name": "a.txt", "bytes": 1 << 40}).status_code == 413


def finished(folder, name, **facts):
    run = Run.create(folder / name, with_settings(Recipe(), ["train.minutes=5"]))
    run.record(
        outcome={"bits_per_byte": 1.5, "low": 1.4, "high": 1.6, "parameters": 10, "seconds": 9.0, "sample": "Ink"},
        **facts,
    )
    return run


def test_runs_are_told_with_their_figures_and_curves(page, folder):
    finished(folder, "done")
    half = Run.create(folder / "half", Recipe())
    half.log("train", step=1, bits_per_byte=3.0)
    (folder / "broken").mkdir()
    (folder / "broken" / "recipe.toml").write_text("[nothing]")
    told = {each["name"]: each for each in page.get("/runs").json()["runs"]}
    assert told["done"]["state"] == "finished" and told["done"]["figure"]["value"] == 1.5
    assert told["half"]["state"] == "training" and told["broken"]["state"] == "damaged"
    assert told["tiny"]["state"] == "model" and told["tiny"]["served"] == "tiny" and told["done"]["served"] is None
    first = page.get("/runs/half/journal").json()
    assert [entry["step"] for entry in first["entries"]] == [1] and not first["again"]
    asked = {"since": first["next"], "of": first["of"]}
    assert page.get("/runs/half/journal", params=asked).json()["entries"] == []
    half.log("train", step=2, bits_per_byte=2.0)
    with open(half.metrics_path, "a") as file:
        file.write('{"kind": "train", "st')
    more = page.get("/runs/half/journal", params=asked).json()
    assert [entry["step"] for entry in more["entries"]] == [2] and more["next"] < half.metrics_path.stat().st_size
    half.rewind_metrics(1)
    anew = page.get("/runs/half/journal", params={"since": more["next"], "of": more["of"]}).json()
    assert anew["again"] and [entry["step"] for entry in anew["entries"]] == [1]
    assert page.get("/runs/done").json()["sample"] == "Ink"


def test_a_score_that_is_no_number_takes_no_page_along(page, folder):
    none = float("nan")
    run = Run.create(folder / "nothing-found", with_settings(Recipe(), ["task.name=tag"]))
    run.record(outcome={"score": "F1", "figures": {"test": {"F1": {"value": none, "low": None, "high": None}}}})
    run.record(adapted={"kept_aside": {"margin": {"before": 0.0, "after": none}}})
    run.log("held-out", step=1, dev_score=none)
    (told,) = [each for each in page.get("/runs").json()["runs"] if each["name"] == "nothing-found"]
    assert (told["state"], told["figure"], told["adapted"]["kept_aside"]["margin"]["after"]) == ("finished", None, None)
    (entry,) = page.get("/runs/nothing-found/journal").json()["entries"]
    assert entry["dev_score"] is None


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "..%2f..%2fetc", "%2fetc%2fpasswd", ".studio", "nothing", "tiny%00", "tiny%0a"]
)
def test_no_name_leads_out_of_the_folder(page, name):
    for method, path in (("GET", ""), ("GET", "/journal"), ("POST", "/serve"), ("POST", "/resume")):
        answer = page.request(method, f"/runs/{name}{path}")
        assert answer.status_code in (404, 405), (method, path, answer.text)
    assert page.get(f"/data/{name}").status_code in (404, 405)
    assert page.get("/data/" + "a" * 16, params={"tokenizer": "../../x"}).status_code == 404


@pytest.mark.parametrize(
    "settings",
    [
        {"text.sources": "/etc/passwd"},
        {"tokenizer.path": "/etc"},
        {"train.vectors": "/etc/passwd"},
        {"model.family": "../../x"},
        {"model.family": 'decoder"\ntext.sources = ["/etc"]'},
        {"model.width": -1},
        {"model.family": "nothing"},
    ],
)
def test_no_setting_names_a_file(page, settings):
    number = sent(page, "a.txt", b"The ink runs down the paper. " * 20)
    for path in ("/jobs", "/jobs/preview"):
        answer = page.post(path, json={"text": number, "minutes": 1, "settings": settings})
        assert answer.status_code == 400, answer.text
    assert page.get("/jobs").json()["jobs"] == []
    for body in ({"text": "f" * 16}, {"text": "../../x"}):
        assert page.post("/jobs", json={**body, "minutes": 1}).status_code == 404
    assert page.post("/jobs", json={"text": number, "minutes": 0}).status_code == 400
    page.delete(f"/data/{number}")


def until(said, seconds=300.0):
    end = time.monotonic() + seconds
    while not (found := said()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)
    return found


@pytest.mark.slow
def test_a_training_is_begun_watched_stopped_gone_on_with_and_served(page, server):
    from training.small_runs import prose

    number = sent(page, "prose.txt", prose(40_000).encode())
    settings = {
        "model.width": 32, "model.n_layers": 1, "model.context": 32, "tokenizer.vocab_size": 300, "train.threads": 1,
        "train.batch_tokens": 128, "train.steps": 100_000, "train.checkpoint_steps": 20, "train.evaluate_steps": 50_000,
    }  # fmt: skip
    job = page.post("/jobs", json={"text": number, "name": "my prose", "settings": settings}).json()
    assert job["run"] == "my-prose" and "arguments" not in job

    def trained():
        answer = page.get("/runs/my-prose/journal")
        return answer.status_code == 200 and [each for each in answer.json()["entries"] if each["kind"] == "train"]

    assert until(trained)[0]["bits_per_byte"] > 0
    assert page.post("/runs/my-prose/resume").status_code == 409
    assert page.delete(f"/jobs/{job['id']}").json()["state"] == "running"
    stopped = until(lambda: (told := page.get(f"/jobs/{job['id']}").json())["state"] == "stopped" and told)
    assert "the run is saved" in stopped["message"] and "train" in stopped["log"]
    recipe = server.listening.app.state.studio.folder.run("my-prose") / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("steps = 100000", "steps = 40"))
    again = page.post("/runs/my-prose/resume").json()
    until(lambda: page.get(f"/jobs/{again['id']}").json()["state"] == "finished")
    assert page.get("/runs/my-prose").json()["figure"]["name"] == "bits per byte"
    assert page.post("/runs/my-prose/serve").json()["served"]
    assert page.post("/runs/my-prose/serve").status_code == 409
    answer = httpx.post(
        f"{server.url}/v1/completions", json={"model": "my-prose", "prompt": "A", "max_tokens": 4}, timeout=60
    )
    assert answer.status_code == 200 and answer.json()["choices"][0]["text"]


def test_settings_that_can_be_chosen_are_settings_of_the_recipe():
    for name in studio_module.SETTINGS:
        section, _, key = name.partition(".")
        assert key in type(getattr(Recipe(), section)).model_fields


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_made_up_requests_are_answered_as_described(server, page, mode):
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

    description = schemathesis.openapi.from_url(f"{server.url}/openapi.json").include(
        path_regex="^/studio/api/(runs|jobs|data|feedback)"
    )
    checks, asked = [not_a_server_error, status_code_conformance, content_type_conformance], set()
    before = page.get("/jobs").json()["jobs"]
    for found in description.get_all_operations():
        operation = found.ok()
        if mode == "NEGATIVE" and (operation.method.upper() != "POST" or "{" in operation.path):
            continue  # any text is a name, so that only bodies can be wrong

        @settings(max_examples=5, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
        def ask(case):
            case.call_and_validate(checks=checks, timeout=60)
            asked.add(case.method + case.path)

        ask()
    assert len(asked) >= (4 if mode == "NEGATIVE" else 14)
    assert page.get("/jobs").json()["jobs"] == before
