"""`inkstone serve RUN [RUN...]`: models behind HTTP, in the form of OpenAI's API, and the studio in the browser."""

import argparse
from typing import Any

from inkstone.cli.generate_verb import precision_argument

# Options that are settings of the server under the same name: kind, metavar, help.
NUMBERS: dict[str, tuple[type, str, str]] = {
    "port": (int, "N", "0: any that is free; default: 8000"),
    "slots": (int, "N", "texts that a model writes at once; default: 8"),
    "workers": (int, "N", "processes behind the port, each with the models; default: 1"),
    "requests-a-minute": (int, "N", "of one key, or one address where there are no keys; default: any number"),
    "most-requests": (int, "N", "that are under way at once; default: 64"),
    "most-prompt-tokens": (int, "N", "of a request; default: 32768, and never more than the model's context"),
    "most-new-tokens": (int, "N", "of an answer; default: 4096"),
    "most-scored-tokens": (int, "N", "of a request that has prompts scored (echo with logprobs); default: 65536"),
    "largest-request": (int, "BYTES", "default: 4 MB"),
    "largest-recording": (int, "BYTES", "default: 25 MB"),
    "request-seconds": (float, "S", "that an answer may take; default: 600"),
    "shutdown-seconds": (float, "S", "for what is under way when the server is told to stop; default: 30"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a run, a checkpoint folder or a hub name; NAME=RUN names it for the API"
    )
    parser.add_argument("--host", help="the address to listen at; default: 127.0.0.1, this machine alone")
    parser.add_argument("--keys", metavar="FILE", help="API keys, one a line; more in the variable INKSTONE_API_KEYS")
    parser.add_argument("--open", action="store_true", help="let anyone in who reaches the port, without a key")
    parser.add_argument(
        "--allow-origin", action="append", metavar="ORIGIN", help="a page that may ask, such as https://example.org"
    )
    parser.add_argument("--allow-host", action="append", metavar="NAME", help="one more name of this server")
    for name, (kind, metavar, words) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=kind, metavar=metavar, help=words)
    parser.add_argument("--log-content", action="store_true", help="write prompts and answers into the log")
    parser.add_argument(
        "--studio", metavar="FOLDER", help="of runs, texts and marks; default: where the first RUN lies"
    )
    parser.add_argument(
        "--engine", help="what writes: inkstone (the default), llama.cpp, ctranslate2, or vllm where it is installed"
    )
    parser.add_argument(
        "--engine-dtype",
        metavar="TYPE",
        help="of the weights there: float32, float16, bfloat16; q8_0 or q4_0 of llama.cpp, int8 of ctranslate2",
    )
    precision_argument(parser)
    parser.add_argument(
        "--compile",
        action="store_true",
        help="refuse to serve decoders without code compiled for this machine, which is made where there is a compiler",
    )
    parser.add_argument("--device", help="cpu, cuda or auto, the default: a GPU where there is one")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Serve until told to stop."""
    from inkstone.serving.serve import serve

    settings = {name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name in NUMBERS}
    settings |= {
        "host": options.host,
        "keys": options.keys,
        "open": options.open or None,
        "allow_origins": options.allow_origin,
        "allow_hosts": options.allow_host,
        "log_content": options.log_content or None,
        "studio": options.studio,
        "engine": options.engine,
        "engine_dtype": options.engine_dtype,
        "precision": options.precision,
        "compile": options.compile or None,
        "device": options.device,
    }
    return serve(options.runs, **{name: value for name, value in settings.items() if value is not None})
