"""How much memory does training take? The whole command at a shape of about 30 million weights.

    python benchmarks/training_memory.py

Reads the text that ships with Python, learns a tokenizer of 8,192, and trains a Qwen3 layout of width 512 and 8 layers for a
few steps of 2,048 tokens, once beginning at chance and once at counted bigrams. The figure is the peak of the process's
resident memory as the system accounts for it. No peer is run beside it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from results import FOLDER, write_result

SHAPE = ("width=512", "n_layers=8", "n_heads=8", "n_kv_heads=4", "head_width=64", "hidden=1536", "context=256")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--out", default=str(FOLDER / "training_memory.json"))
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for start in ("random", "bigrams"):
            out = Path(scratch) / start
            settings = [f"model.{setting}" for setting in SHAPE]
            settings += [f"train.steps={options.steps}", "train.batch_tokens=2048", f"train.start={start}"]
            settings += ["tokenizer.vocab_size=8192", "text.held_out=0.01"]
            command = [sys.executable, "-m", "inkstone", "train", "--out", str(out), "--json"]
            for setting in settings:
                command += ["--set", setting]
            outcome = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            facts = json.loads((out / "facts.json").read_text(encoding="utf-8"))
            peak = facts["cost"]["peak_memory_bytes"]
            weights = outcome["parameters"]
            rows.append([start, weights, round(peak / 1e9, 2), round(peak / weights, 1)])
    write_result(
        Path(options.out),
        question="How much memory does training take at 30 million weights?",
        columns=["start of the weights", "weights", "peak resident GB", "bytes a weight"],
        rows=rows,
        notes=["Single precision, AdamW: 16 of the bytes of each weight are itself, its gradient and two moments."],
    )


if __name__ == "__main__":
    main()
