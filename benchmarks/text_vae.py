"""Does the text VAE say anything through its latent vector, and what does that cost beside a language model of equal size?

    INKSTONE_DATA=... python benchmarks/text_vae.py --steps 1500 --bodies lstm

Tiny Shakespeare, line by line: the first nine tenths to learn from, lines of the last tenth to score. The language model is the
VAE's own writer with its latent vector held at zero: the same tokens, steps, rates and weights, less the reader. Its nats are
exact, the VAE's are upper bounds. Batches hold lines of one length, so that nothing is padded.
"""

import argparse
import lzma
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from inkstone.evaluation.latent_figures import latent_figures
from inkstone.inference.latent_text import interpolate, reconstruct
from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.models.text_vae import TextVAE, TextVAESettings
from inkstone.progress import LiveLine
from inkstone.tokens.batches import Batch
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.schedule import learning_rate_factor
from results import write_result

HERE = Path(__file__).parent


def lines_of(text: str) -> list[str]:
    """The lines that hold something."""
    return [line for line in map(str.strip, text.splitlines()) if line]


def batches(documents: list[np.ndarray], end: int, rows: int, seed: int) -> Iterator[Batch]:
    """Lines of one length each, in a new order every epoch, for ever."""
    draws = np.random.default_rng(seed)
    by_length: dict[int, list[np.ndarray]] = {}
    for ids in documents:
        by_length.setdefault(len(ids), []).append(np.concatenate([[end], ids, [end]]))
    stacks = [np.stack(group) for group in by_length.values()]
    while True:
        epoch = []
        for stack in stacks:
            stack = stack[draws.permutation(len(stack))]
            epoch += [stack[at : at + rows] for at in range(0, len(stack), rows)]
        for at in draws.permutation(len(epoch)):
            window = torch.from_numpy(epoch[at].astype(np.int64))
            yield Batch(window[:, :-1].contiguous(), window[:, 1:].contiguous(), None)


def writer_alone(model: TextVAE, batch: Batch) -> torch.Tensor:
    """The loss of the writer as a language model: its latent vector is zero."""
    pieces = model.cut(batch.ids, batch.targets, batch.document)
    states = model.decode(pieces, torch.zeros(len(pieces), model.settings.latent))
    return linear_cross_entropy(states[pieces.valid], model.output_weight, pieces.targets[pieces.valid])


def train(
    model: TextVAE, loss: Callable[[Batch, float], torch.Tensor], source: Iterator[Batch], steps: int, rate: float
) -> float:
    """AdamW for so many steps; the seconds of this process that it took."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.01)
    line, began = LiveLine(), time.process_time()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * learning_rate_factor(step / steps, 0.02, 0.5)
        optimizer.zero_grad()
        found = loss(next(source), step / steps)
        found.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        line.show(f"step {step:,} of {steps:,}  {found.item():.3f} nats a token")
    return time.process_time() - began


@torch.no_grad()
def nats_alone(model: TextVAE, documents: list[np.ndarray]) -> float:
    """Nats a token of the writer alone, exact."""
    pieces, _ = model.pieces_of(documents)
    states = model.decode(pieces, torch.zeros(len(pieces), model.settings.latent))
    return linear_cross_entropy(states[pieces.valid], model.output_weight, pieces.targets[pieces.valid]).item()


def examples(model: TextVAE) -> list[str]:
    """What the latent vector holds, in words."""
    first, last = "I will not go with thee.", "What is the matter, my good lord?"
    way = " / ".join(text.strip() for text in interpolate(model, first, last, 5))
    return [
        f"{first!r} read and written again: {reconstruct(model, [first])[0]!r}",
        f"from {first!r} to {last!r}: {way}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--bodies", nargs="+", default=["lstm", "transformer"], choices=["lstm", "transformer"])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--vocabulary", type=int, default=512)
    parser.add_argument("--latent", type=int, default=16)
    parser.add_argument("--free-bits", type=float, default=0.3)
    parser.add_argument("--scored", type=int, default=500, help="lines")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--out", default=str(HERE / "results" / "text_vae.json"))
    options = parser.parse_args()
    path = Path(os.environ["INKSTONE_DATA"]) / "tinyshakespeare" / "input.txt.xz"
    text = lzma.decompress(path.read_bytes()).decode("utf-8")
    cut = len(text) * 9 // 10
    tokenizer: Tokenizer = learn_tokenizer(iter([text[:cut]]), "byte-bpe", options.vocabulary)
    learned = tokenizer.encode_batch(lines_of(text[:cut]))
    kept = lines_of(text[cut:])
    kept = tokenizer.encode_batch([kept[at] for at in np.linspace(0, len(kept) - 1, options.scored).astype(int)])
    rows, notes = [], [__doc__.split("\n\n")[2]]
    for body in options.bodies:
        settings = TextVAESettings(
            tokenizer.vocab_size, options.width, 1 if body == "lstm" else 2,
            context=64, piece="line", body=body, latent=options.latent, free_bits=options.free_bits, annealed=0.3,
        )  # fmt: skip
        for kind in ("language model", "VAE"):
            model = TextVAE(settings, tokenizer).initialise(torch.Generator().manual_seed(0))
            generator, source = torch.Generator().manual_seed(1), batches(learned, tokenizer.end, options.rows, 0)
            parts = (model.embedding, model.writer) if kind == "language model" else (model,)
            weights = sum(weight.numel() for part in parts for weight in part.parameters())

            def loss(batch: Batch, progress: float, model=model, kind=kind, generator=generator) -> torch.Tensor:
                return model.loss(batch, generator, progress) if kind == "VAE" else writer_alone(model, batch)

            seconds = train(model, loss, source, options.steps, options.rate)
            model.eval()
            row = [body, kind, weights, round(seconds, 1)]
            if kind == "VAE":
                found = latent_figures(model, kept, draws=options.draws)
                facts = found.facts()
                row += [round(facts["elbo_nats_per_token"], 3), round(facts["bound_nats_per_token"], 3)]
                row += [round(found.kl, 2), found.active_units, round(found.mutual_information, 2)]
                notes += [f"{body}: {example}" for example in examples(model)]
            else:
                exact = round(nats_alone(model, kept), 3)
                row += [exact, exact, None, None, None]
            rows.append(row)
            print(*row, sep="\t", file=sys.stderr, flush=True)
            write_result(
                Path(options.out),
                question="Does a text VAE say anything through its latent vector, and at what cost beside a language model?",
                columns=[
                    "body", "trained as", "weights", "CPU seconds", "−ELBO, nats a token", "bound, nats a token",
                    "KL, nats a line", f"active units of {options.latent}", "mutual information, nats",
                ],
                rows=rows,
                notes=notes,
            )  # fmt: skip


if __name__ == "__main__":
    main()
