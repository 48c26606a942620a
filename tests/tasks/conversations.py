"""Made-up conversations, from which a small decoder learns in seconds."""

import json

import numpy as np

COLOURS, THINGS = ("black", "white", "red", "green"), ("ink", "stone", "paper", "brush", "seal")
SMALL = ["model.width=64", "model.n_layers=2", "model.dropout=0", "tokenizer.vocab_size=300"]
STEPS = ["train.learning_rate=0.004", "train.threads=1", "task.rows=16", "train.device=cpu"]


def talk(draw):
    """A system message that says what is asked for, and two questions."""
    thing, colour = draw.choice(THINGS), draw.choice(COLOURS)
    return [
        {"role": "system", "content": f"The {thing} is {colour}."},
        {"role": "user", "content": f"What is {colour}?"},
        {"role": "assistant", "content": f"{thing}"},
        {"role": "user", "content": "And the moon?"},
        {"role": "assistant", "content": "yellow"},
    ]


def written(path, number, seed, form=None):
    draw = np.random.default_rng(seed)
    rows = [{"messages": talk(draw)} for _ in range(number)]
    path.write_text("".join(json.dumps(row if form is None else form(row)) + "\n" for row in rows), encoding="utf-8")
    return str(path)
