"""How fast is a training step at a fixed shape? Ours and transformers' in turn, and as a share of this machine's peak.

    python benchmarks/training_step.py --pairs 5

A step is forward, backward, clipping and AdamW, on one batch of random tokens. The share is the step's floating-point
operations (6 for each weight and token, and causal attention) over the rate of a large matrix product measured beside it.
Number formats that this chip has no units for (their product is slower than single precision) are left out, unless
--formats names them.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers

from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.recipe import TrainSection
from inkstone.training.machine import matmul_rate
from inkstone.training.optimisers import Optimisers
from results import write_result

SHAPES = {
    "gpt2 0.8 M": (
        DecoderSettings(65, 128, 4, 4, 4, 32, 512, 64, layout="gpt2", norm_eps=1e-5),
        12,
    ),
    "gpt2 10.8 M": (
        DecoderSettings(65, 384, 6, 6, 6, 64, 1536, 256, layout="gpt2", norm_eps=1e-5),
        16,
    ),
    "qwen3 29 M": (
        DecoderSettings(8192, 512, 8, 8, 4, 64, 1536, 256),
        8,
    ),
}


def ours(settings: DecoderSettings, ids: torch.Tensor, targets: torch.Tensor, form: str) -> Callable[[], float]:
    """One step as the training loop does it."""
    model = Decoder(settings, None).initialise(torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    model = model.to(torch.bfloat16 if form == "bfloat16" else torch.float32)
    train = TrainSection(optimizer="adamw", learning_rate=1e-3, scalar_learning_rate=1e-3, weight_decay=0.0)
    optimisers = Optimisers(model, train)

    def step() -> float:
        hidden = model.hidden(ids).flatten(0, 1)
        loss = linear_cross_entropy(hidden, model.output_weight, targets.flatten())
        loss.backward()
        optimisers.clip(1.0)
        optimisers.step(1.0)
        optimisers.zero_grad()
        return loss.item()

    return step


def peer(
    settings: DecoderSettings, ids: torch.Tensor, targets: torch.Tensor, form: str, compiled: bool
) -> Callable[[], float]:
    """One step of the same shape in transformers with torch's AdamW."""
    s = settings
    if s.layout == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=s.vocab_size, n_embd=s.width, n_layer=s.n_layers, n_head=s.n_heads, n_positions=s.context,
            attn_pdrop=0, resid_pdrop=0, embd_pdrop=0, bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        model: torch.nn.Module = transformers.GPT2LMHeadModel(config)
    else:
        model = transformers.Qwen3ForCausalLM(
            transformers.Qwen3Config(
                vocab_size=s.vocab_size, hidden_size=s.width, num_hidden_layers=s.n_layers, num_attention_heads=s.n_heads,
                num_key_value_heads=s.n_kv_heads, head_dim=s.head_width, intermediate_size=s.hidden, tie_word_embeddings=True,
                bos_token_id=0, eos_token_id=0,
            )
        )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    forward = torch.compile(model) if compiled else model

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16) if form == "bfloat16" else nullcontext():
            logits = forward(input_ids=ids).logits
            loss = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def seconds_of(step: Callable[[], float], least: float) -> float:
    """Seconds of one step, the mean over at least `least` seconds."""
    begin, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - begin < least:
        step()
        count += 1
    return (time.perf_counter() - begin) / count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--formats", nargs="+", choices=("float32", "bfloat16"))
    parser.add_argument("--compiled", action="store_true", help="also the peer compiled (adds about a minute a shape)")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "training_step.json"))
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    peaks = {form: matmul_rate(getattr(torch, form), "cpu", 2.0) for form in ("float32", "bfloat16")}
    forms = options.formats or [form for form in peaks if form == "float32" or peaks[form] > peaks["float32"]]
    rows = []
    for name in options.shapes:
        settings, batch = SHAPES[name]
        generator = torch.Generator().manual_seed(0)
        ids, targets = torch.randint(0, settings.vocab_size, (2, batch, settings.context), generator=generator)
        runs: dict[str, Callable[[], float]] = {}
        for form in forms:
            runs[f"inkstone {form}"] = ours(settings, ids, targets, form)
            runs[f"transformers {form}"] = peer(settings, ids, targets, form, False)
            if options.compiled:
                runs[f"transformers {form} compiled"] = peer(settings, ids, targets, form, True)
        for step in runs.values():
            step()
        times: dict[str, list[float]] = {who: [] for who in runs}
        for _ in range(options.pairs):
            for who, step in runs.items():
                times[who].append(seconds_of(step, 2.0))
        tokens = batch * settings.context
        peers = [who for who in runs if who.startswith("transformers")]
        fastest = min(peers, key=lambda who: statistics.median(times[who]))
        for who in runs:
            form = who.split()[1]
            median = statistics.median(times[who])
            share = settings.flops_per_token() * tokens / median / peaks[form]
            ratios = [other / own for own, other in zip(times[who], times[fastest], strict=True)]
            rows.append(
                [
                    name,
                    who,
                    round(tokens / median),
                    f"{share:.0%}",
                    "" if who == fastest else f"{statistics.median(ratios):.2f}",
                ]
            )
            print(*rows[-1], sep="\t", flush=True)
    write_result(
        Path(options.out),
        question="How fast is a training step at a fixed shape?",
        columns=["shape", "who", "tokens a second", "share of the measured peak", "times the fastest peer"],
        rows=rows,
        notes=[
            "measured peak: " + ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {form}" for form, rate in peaks.items()),
            f"{options.pairs} rounds in turn, medians; {torch.get_num_threads()} threads",
        ],
    )


if __name__ == "__main__":
    main()
