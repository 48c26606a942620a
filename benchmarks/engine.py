"""How many tokens a second does the batching engine write, where requests of all lengths come at once?

    python benchmarks/engine.py --requests 64

Requests with prompts and texts of mixed lengths are written three ways in turn: one after another by `stream`; in batches that
wait for the longest text in them, as many texts at once as the engine has slots; and by the engine. All write the likeliest tokens and
never end early, so the texts are the same. Half of the prompts begin with the same instructions, which the engine reads once.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from inkstone.hub.folder import load
from inkstone.inference.engine import Engine, Request
from inkstone.inference.generation import stream
from inkstone.inference.sampling import Sampling
from inkstone.inference.slotted import slotted
from inkstone.models.decoder import Decoder
from random_models import SHAPES, random_folder
from results import write_result

Texts = list[tuple[int, ...]]


def requests_of(n: int, longest_prompt: int, longest_text: int) -> list[Request]:
    """Prompts and texts of lengths drawn evenly on a logarithmic scale, as most requests are short and some are long."""
    draw = random.Random(0)
    shared = [draw.randrange(256) for _ in range(longest_prompt // 2)]
    requests = []
    for place in range(n):
        length = round(8 * (longest_prompt / 8) ** draw.random())
        own = [draw.randrange(256) for _ in range(length)]
        prompt = [*shared, *own][:longest_prompt] if place % 2 else own
        tokens = round(8 * (longest_text / 8) ** draw.random())
        requests.append(Request(tuple(prompt), Sampling(temperature=0, max_tokens=tokens), ends=frozenset()))
    return requests


def one_by_one(model: Decoder, requests: Sequence[Request], slots: int) -> Texts:
    """Each by itself."""
    return [
        next(piece.generated.ids for piece in stream(model, each.prompt, each.sampling, ends=()) if piece.generated)
        for each in requests
    ]


def batch_at_once(model: Decoder, requests: Sequence[Request], slots: int) -> Texts:
    """As many together as there are slots; the next batch begins when the longest text of this one is done."""
    rows = slotted(model, slots, model.settings.context)
    texts: Texts = []
    for at in range(0, len(requests), slots):
        batch = requests[at : at + slots]
        scores = torch.stack([rows.read(slot, each.prompt, 0) for slot, each in enumerate(batch)])
        written: list[list[int]] = [[] for _ in batch]
        numbers = torch.arange(len(batch))
        lengths = torch.tensor([len(each.prompt) for each in batch])
        for _ in range(max(each.sampling.max_tokens for each in batch)):
            ids = scores.argmax(-1)
            for row, number in zip(written, ids.tolist(), strict=True):
                row.append(number)
            scores = rows.step(ids, numbers, lengths)
            lengths = (lengths + 1).clamp(max=rows.capacity - 1)
        texts += [tuple(row[: each.sampling.max_tokens]) for row, each in zip(written, batch, strict=True)]
    return texts


def by_engine(model: Decoder, requests: Sequence[Request], slots: int) -> Texts:
    """Rows come and go."""
    engine = Engine(slotted(model, slots, model.settings.context))
    texts: Texts = [()] * len(requests)

    def listener(place: int) -> Callable:
        def hear(heard) -> None:
            if heard.generated is not None:
                texts[place] = heard.generated.ids

        return hear

    for place, request in enumerate(requests):
        engine.submit(request, listener(place))
    while engine.step():
        pass
    return texts


WAYS = {"one after another": one_by_one, "batch at once": batch_at_once, "the engine": by_engine}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=list(SHAPES), default=next(iter(SHAPES)))
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=256, help="tokens of the longest prompt")
    parser.add_argument("--tokens", type=int, default=256, help="tokens of the longest text")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "engine.json"))
    options = parser.parse_args()
    requests = requests_of(options.requests, options.prompt, options.tokens)
    tokens = sum(each.sampling.max_tokens for each in requests)
    notes = []
    with tempfile.TemporaryDirectory() as name:
        weights = random_folder(options.shape, Path(name))
        model = load(name, device=options.device)
        assert isinstance(model, Decoder)
        first = {who: write(model, requests, options.slots) for who, write in WAYS.items()}
        for who, texts in first.items():
            same = sum(mine == theirs for mine, theirs in zip(texts, first["one after another"], strict=True))
            if same < len(requests):
                notes.append(f"{who}: {len(requests) - same} texts differ, as rounding decides between likely tokens")
        seconds: dict[str, list[float]] = {who: [] for who in WAYS}
        for _ in range(options.pairs):
            for who, write in WAYS.items():
                begin = time.perf_counter()
                write(model, requests, options.slots)
                seconds[who].append(time.perf_counter() - begin)
    rows = []
    for who, taken in seconds.items():
        ratios = [mine / other for mine, other in zip(seconds["the engine"], taken, strict=True)]
        ratio = None if who == "the engine" else round(1 / statistics.median(ratios), 2)
        rows.append([who, round(tokens / statistics.median(taken), 1), ratio])
    write_result(
        Path(options.out),
        question="How many tokens a second are written, where requests of all lengths come at once?",
        columns=["how", "tokens a second", "the engine is faster by"],
        rows=rows,
        notes=[
            f"Qwen3 layout, {weights / 1e6:.1f} M weights; {options.requests} requests, prompts of 8 to {options.prompt} tokens, "
            f"texts of 8 to {options.tokens}; {options.slots} slots; {options.pairs} rounds in turn, medians; "
            f"{torch.get_num_threads()} threads; reading the prompts is in the time",
            *notes,
        ],
    )


if __name__ == "__main__":
    main()
