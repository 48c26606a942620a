"""How many steps does a decoder save where the form of its text forces tokens?

    python benchmarks/extraction_set.py /tmp/sets
    inkstone tune extract /tmp/sets/orders/train.jsonl --dev /tmp/sets/orders/dev.jsonl --set train.steps=300 --out runs/orders
    python benchmarks/jump_ahead.py runs/orders /tmp/sets/orders/test.jsonl

The same records are written twice, with jump-ahead and token by token; what is counted are steps of the model and the tokens that they
read, which no clock enters. That both write the same records is checked.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from inkstone.inference.constrained import Followed
from inkstone.inference.slotted_decoder import SlottedDecoder
from inkstone.tasks.predict import Predictor


def counted(predictor: Predictor, texts: list[str], at_once: int) -> tuple[list[Any], int, int]:
    """The records of texts, so many at a time, and the steps and tokens that were read after the texts themselves."""
    widths: list[int] = []
    step = SlottedDecoder.step

    def noted(self, ids, slots, lengths):
        widths.append(len(ids))
        return step(self, ids, slots, lengths)

    SlottedDecoder.step = noted
    try:
        records = []
        for first in range(0, len(texts), at_once):
            examples = predictor.examples(texts[first : first + at_once])
            records += [answer["record"] for answer in predictor.told(examples)]
    finally:
        SlottedDecoder.step = step
    return records, len(widths), sum(widths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run that was tuned to extract")
    parser.add_argument("data", type=Path, help="JSON lines with a column `text`")
    parser.add_argument("--first", type=int, default=200, help="so many texts")
    asked = parser.parse_args()
    with open(asked.data, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file][: asked.first]
    predictor, forced = Predictor.load(asked.run, "cpu"), Followed.forced
    print(f"steps for {len(texts)} texts\n{'at once':>8}{'token by token':>16}{'jump-ahead':>12}{'ratio':>8}")
    for at_once in (1, 32):
        jumping, steps, tokens = counted(predictor, texts, at_once)
        Followed.forced = lambda self: None
        try:
            plain, single, same = counted(predictor, texts, at_once)
        finally:
            Followed.forced = forced
        assert jumping == plain and tokens <= same, "the records are not the same"
        print(f"{at_once:>8}{single:>16,}{steps:>12,}{single / steps:>8.2f}")


if __name__ == "__main__":
    main()
