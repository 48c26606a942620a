"""A stand-in for the command `vllm serve`: its protocol without a model. Token n + 1 of a text is 7 times token n, plus 3.

What it was started with and asked lies as JSON lines in the file that FAKE_VLLM_LOG names; FAKE_VLLM_FAULT says what goes wrong.
"""

import argparse
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULT = os.environ.get("FAKE_VLLM_FAULT", "")


def note(kind: str, value: object) -> None:
    with open(os.environ["FAKE_VLLM_LOG"], "a") as log:
        log.write(json.dumps([kind, value]) + "\n")


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *words) -> None:
        pass

    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}"
        self.send_response(200 if self.path == "/health" and allowed else 404)
        self.end_headers()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        note("asked", asked)
        if self.headers["Authorization"] != f"Bearer {os.environ['VLLM_API_KEY']}" or self.path != "/v1/completions":
            self.send_response(401)
            self.end_headers()
            return
        if FAULT == "refuses":
            self.send_response(400)
            self.end_headers()
            self.wfile.write(b'{"error": {"message": "too hot"}}')
            return
        self.send_response(200)
        self.end_headers()
        try:
            self.write(asked)
        except OSError:
            note("hung up", True)

    def write(self, asked: dict) -> None:
        number, reason = asked["prompt"][-1], "length"
        for place in range(asked["max_tokens"]):
            number = (number * 7 + 3) % 290
            reason = "stop" if number in asked["stop_token_ids"] else reason
            name, value = f"token_id:{number}", -0.25
            top = {f"token_id:{number + 1}": -3.0, name: value}
            told = {"tokens": [name], "token_logprobs": [value], "top_logprobs": [top]}
            self.send({"choices": [{"index": 0, "text": "?", "logprobs": told, "finish_reason": None}]})
            if reason == "stop":
                break
            if FAULT == "slow":
                time.sleep(0.05)
            if FAULT == "breaks" and place == 2:
                return
        self.send({"choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": reason}]})
        self.wfile.write(b"data: [DONE]\n\n")

    def send(self, event: dict) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("folder")
    for name in (
        "host",
        "port",
        "served-model-name",
        "max-model-len",
        "max-num-seqs",
        "dtype",
        "generation-config",
        "max-logprobs",
    ):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    note("started", vars(options) | {"cache": os.environ["VLLM_CPU_KVCACHE_SPACE"]})
    if FAULT == "ends":
        print("(Worker) ValueError: no GPU was found", *(f"line {n} of a traceback" for n in range(9)), sep="\n")
        sys.exit("RuntimeError: it did not start, see above")
    assert os.path.exists(os.path.join(options.folder, "config.json"))
    ThreadingHTTPServer((options.host, int(options.port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
