"""The API's own description: requests that are made up from it are answered as it says."""

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

CHECKED = [not_a_server_error, status_code_conformance, content_type_conformance]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name)
def test_made_up_requests_that_fit_and_that_do_not_are_answered_as_described(server, mode):
    """Of the API alone: the studio has tests of its own."""
    description = schemathesis.openapi.from_url(f"{server.url}/openapi.json").exclude(
        path_regex="^/(studio/api|metrics)"
    )
    if mode == GenerationMode.NEGATIVE:  # of requests without parameters there are none that do not fit
        description = description.include(method="POST")
    asked = []
    for found in description.get_all_operations():
        operation = found.ok()

        @settings(max_examples=4, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            if isinstance(case.body, dict) and isinstance(case.body.get("max_tokens"), int):
                case.body["max_tokens"] = min(case.body["max_tokens"], 4)  # long answers show nothing more
            case.call_and_validate(checks=CHECKED, timeout=60)
            asked.append(case.method + case.path)

        ask()
    assert len(set(asked)) > 6 and len(asked) > 20


def test_every_endpoint_is_described_with_its_errors(server):
    told = httpx.get(f"{server.url}/openapi.json").json()
    assert {
        "/v1/models", "/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/audio/transcriptions", "/tokenize",
        "/detokenize", "/v1/tasks/{name}", "/health", "/ready", "/metrics",
    } <= set(told["paths"])  # fmt: skip
    for path, methods in told["paths"].items():
        for method, each in methods.items():
            assert "422" not in each["responses"], f"{method} {path}"
            if method == "post":
                assert {"400", "404", "413", "429"} <= set(each["responses"]) or path.startswith("/studio/"), path
