"""llama.cpp's own HTTP server on a run, for `serving.py`: `python benchmarks/peers/llama_server.py RUN --port N`."""

import argparse
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any

import xllamacpp

from inkstone.hub.folder import load
from inkstone.hub.gguf_file import write_gguf


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--form", default="float32")
    options = parser.parse_args()
    model: Any = load(options.folder)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with tempfile.TemporaryDirectory() as name:
        write_gguf(model, Path(name) / "model.gguf", "model", options.form)
        bindings: Any = xllamacpp
        parameters = bindings.CommonParams()
        parameters.model.path = str(Path(name) / "model.gguf")
        parameters.hostnames, parameters.port = ["127.0.0.1"], options.port
        parameters.n_parallel, parameters.n_ctx = options.slots, options.slots * model.settings.context
        parameters.kv_unified, parameters.verbosity = False, 0
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = options.threads
        server = bindings.Server(parameters)
        print(server.listening_address, flush=True)
        del model
        ended.wait()


if __name__ == "__main__":
    main()
