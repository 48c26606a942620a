"""Facts of a whole run as its stages record them, for the report and the card."""

import json
import math
from pathlib import Path
from typing import Any

from inkstone.files import write_json
from inkstone.recipe import Recipe, with_settings
from inkstone.run import Run

HOSTILE = '<script>alert("ink")</script><img src=x onerror=alert(1)>\x00\x1b[31m&amp; `${7*7}` {{ 7*7 }}'

FACTS: dict[str, Any] = {
    "text": {
        "documents": 1412,
        "bytes": 6_204_113,
        "kept_documents": 1203,
        "kept_bytes": 5_644_871,
        "dropped": {
            "near-duplicate": {"documents": 120, "bytes": 310_000, "examples": [["b.txt#4", "第一回 宴桃园豪杰三结义 斩黄巾英雄首立功"]]},
            "too short": {"documents": 61, "bytes": 910, "examples": [["a.txt#9", "See also."], ["a.txt#12", HOSTILE]]},
            "letters apart": {"documents": 28, "bytes": 120_400, "examples": []},
        },
        "repairs": {"mojibake": 12, "unicode_form": 3, "invisible_or_blank": 220},
        "removed_lines": {"documents": 310, "lines": 912, "bytes": 40_120, "examples": {"Skip to content": 201, "回到目录": 96}},
        "languages": {"zh": {"documents": 640, "bytes": 3_410_000}, "en": {"documents": 563, "bytes": 2_234_871}},
        "encodings": {"utf-8": 40, "gb18030": 8},
        "formats": {"text": 44, "html": 4},
        "lines_otherwise": 2, "otherwise_at": ["a.txt:7", f"{HOSTILE}:3"], "bytes_replaced": 0, "replaced_at": [],
        "skipped": [["photos.bin", "binary data"]],
        "train_bytes": 5_362_627,
        "train_documents": 1143,
        "held_out_bytes": 282_244,
        "held_out_documents": 60,
        "split_how": "by document",
    },
    "tokenizer": {
        "kind": "byte-bpe", "vocab_size": 4096, "bytes_per_token": 3.412, "tokens_per_word": 1.31, "characters_per_token": 1.61,
        "train_tokens": 1_571_696, "held_out_tokens": 82_721, "seconds": 4.1,
    },
    "machine": {
        "device": "cpu", "name": "AMD Ryzen 7 5800U", "cores": 8, "threads": 8, "memory_bytes": 16_000_000_000,
        "matmul_gflops": {"float32": 402.0, "bfloat16": 120.0}, "memory_gb_per_s": 31.2,
    },
    "plan": {
        "minutes": 5.0,
        "seconds_for_training": 262.0,
        "choices": [
            {"name": "vocabulary", "value": 4096, "why": "5.4 MB of text show each token often enough to be learned"},
            {"name": "layers × width", "value": "6 × 256", "why": "the largest model that reads the text about once in the time left"},
            {"name": "context", "value": 256, "why": "most documents fit, and attention stays cheap"},
        ],
        "predicted": {"steps": 520, "tokens": 2_129_920, "tokens_per_second": 8_130, "bits_per_byte": 1.71, "epochs": 1.36},
    },
    "training": {
        "steps": 504, "tokens": 2_064_384, "seconds": 261.4, "tokens_per_second": 7_898, "flops_per_token": 40_100_000,
        "parameters": 6_130_000, "train_bits_per_byte": 1.58, "epochs": 1.31, "skipped_steps": 1, "rollbacks": 0, "stopped": "finished",
    },
    "evaluation": {
        "bits_per_byte": 1.683, "low": 1.641, "high": 1.728, "confidence": 0.95, "interval_over": "documents", "interval_units": 60,
        "perplexity_token": 53.1, "perplexity_word": 1904.2, "perplexity_character": 12.4, "nats": 329_250.0, "tokens": 82_781,
        "bytes": 282_244, "characters": 130_402, "words": 43_610, "documents": 60, "window": 256, "stride": 128, "share": 1.0, "seconds": 9.1,
        "yardsticks": {
            "xz -9e": 2.843, "xz -9e after training text": 2.302, "zstd -19": 2.921, "zstd -19 after training text": 2.377,
            "held_out_bytes": 282_244, "train_bytes": 4_000_000, "sampled": True,
        },
    },
    "samples": [
        {"prompt": "却说玄德", "text": "引关、张二人，径投新野来。时值隆冬，朔风凛凛，瑞雪霏霏，行不数里，忽见一人纵马而来，大叫曰：“来者莫非刘使君乎？”玄德勒马视之，乃南阳隐士也。", "temperature": 0.8, "seed": 1},
        {"prompt": "The old sailor", "text": " looked at the sea for a long while, and said that he had known it when there was no harbour here at all, only the stones and the birds.\n\n\"And the ink?\" asked the boy.", "temperature": 0.8, "seed": 2},
        {"prompt": "", "text": HOSTILE, "temperature": 0.8, "seed": 0},
    ],
    "cost": {
        "wall_seconds": {"clean": 6.2, "tokenizer": 4.1, "tokenise": 2.2, "train": 261.4, "evaluate": 15.9, "total": 297.8},
        "cpu_seconds": 2110.0, "peak_memory_bytes": 1_420_000_000,
    },
    "outcome": {"bits_per_byte": 1.683, "low": 1.641, "high": 1.728, "parameters": 6_130_000, "seconds": 297.8},
}  # fmt: skip

ENVIRONMENT = {
    "python": "3.11.9", "system": "Linux 6.8 x86_64", "cpu": "AMD Ryzen 7 5800U", "cores": 8, "memory_bytes": 16_000_000_000,
    "packages": {"inkstone": "0.1.0", "torch": "2.13.0"},
}  # fmt: skip


def journal(steps: int = 504, seconds: float = 261.4) -> list[dict[str, Any]]:
    """Curves of a plausible shape."""
    entries = []
    for step in range(1, steps + 1, 2):
        at = step / steps
        loss = 1.5 + 6.5 * math.exp(-14 * at) + 0.55 * (1 - at) ** 2 + 0.02 * math.sin(step * 12.9898)
        place = {"step": step, "seconds": round(seconds * at, 2), "tokens": step * 4096}
        entries.append(
            {
                "kind": "train",
                **place,
                "loss": loss * 2.4,
                "bits_per_byte": loss,
                "learning_rate": 1.0,
                "tokens_per_second": 7_898,
            }
        )
        if step % 40 == 1 and step > 1:
            held = 1.683 + 6 * math.exp(-14 * at) + 0.5 * (1 - at) ** 2
            entries.append({"kind": "held-out", "step": step, "seconds": round(seconds * at, 2), "bits_per_byte": held})
    entries.append({"kind": "held-out", "step": steps, "seconds": seconds, "bits_per_byte": 1.683})
    return entries  # fmt: skip


def golden_run(folder: Path, facts: dict[str, Any] | None = None, entries: list[dict[str, Any]] | None = None) -> Run:
    """A run folder with these facts and this journal, and no model."""
    recipe = with_settings(
        Recipe(),
        ["train.minutes=5", "train.dtype=float32", "model.layout=qwen3", "model.n_layers=6", "model.width=256", "model.context=256", "text.sources=['books', 'notes.md']"],
    )  # fmt: skip
    run = Run.create(folder, recipe)
    write_json(run.folder / "environment.json", ENVIRONMENT)
    run.record(**(FACTS if facts is None else facts))
    lines = [json.dumps(entry) + "\n" for entry in (journal() if entries is None else entries)]
    run.metrics_path.write_text("".join(lines), encoding="utf-8")
    return run
