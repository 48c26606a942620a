"""Do the planner's choices hold? Its plan and its plan with one choice changed, at equal floating-point work.

    INKSTONE_DATA=... python benchmarks/planning.py --work 2.5e12

Each run has so many steps that the work is the same, whatever the shape, so that neither the machine nor its load enters;
what a choice costs beside floating-point operations (Muon's are counted) does not enter either. The figure is bits per
byte on held-out text that is taken from the training part; no test part is touched.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from inkstone.recipe import Recipe, with_settings
from inkstone.run import Run
from inkstone.tokens.shards import TokenShards
from inkstone.training.muon import orthogonalisation_work
from inkstone.training.pretraining import train
from inkstone.training.sizing import LADDER, adam_rate, batch_tokens_for, settings_for, shape_for, vocabulary_for
from results import write_result

HERE = Path(__file__).parent
TEXTS = ("tinyshakespeare", "chinese-novels")


def changes(rung: int, vocabulary: int, batch: int) -> dict[str, list[str]]:
    """What is changed, as settings; the rungs of the ladder beside the planned one among them."""
    smaller, larger = LADDER[max(0, rung - 1)], LADDER[min(len(LADDER) - 1, rung + 1)]
    return {
        "as planned": [],
        "start at chance": ["train.start=random"],
        "Muon": ["train.optimizer=muon", "train.learning_rate=0.02"],
        f"smaller: {smaller[0]} × {smaller[1]}": [f"model.width={smaller[0]}", f"model.n_layers={smaller[1]}"],
        f"larger: {larger[0]} × {larger[1]}": [f"model.width={larger[0]}", f"model.n_layers={larger[1]}"],
        f"vocabulary {vocabulary // 2}": [f"tokenizer.vocab_size={vocabulary // 2}"],
        f"vocabulary {vocabulary * 2}": [f"tokenizer.vocab_size={vocabulary * 2}"],
        f"{batch // 2} tokens a step": [f"train.batch_tokens={batch // 2}"],
        f"{batch * 2} tokens a step": [f"train.batch_tokens={batch * 2}"],
        "dropout 0.1": ["model.dropout=0.1"],
    }


def step_work(settings: Any, batch: int, muon: bool) -> float:
    """Floating-point operations of one step."""
    work = batch * settings.flops_per_token()
    if muon:
        s = settings
        maps = [(s.width, s.width)] * 4 + [(s.hidden, s.width)] * 3
        work += s.n_layers * sum(orthogonalisation_work(*shape) for shape in maps)
    return work


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=float, default=2.5e12, help="floating-point operations of each run")
    parser.add_argument("--texts", nargs="+", default=TEXTS)
    parser.add_argument("--only", nargs="*", help="only changes that begin so")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default=str(HERE / "results" / "planning.json"))
    options = parser.parse_args()
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for text in options.texts:
            first = Path(scratch) / f"{text}-text"
            train(
                [f"data:{text}"], out=first, settings=["train.steps=1", f"train.threads={options.threads}"], quiet=True
            )
            facts = Run(first).facts()
            tokens, size = TokenShards.open(Run(first).train_shards).n_tokens, facts["text"]["train_bytes"]
            vocabulary, _ = vocabulary_for(options.work, size)
            planned, _ = shape_for(Recipe(), vocabulary, options.work, tokens)
            rung = next(n for n, (width, _) in enumerate(LADDER) if width == planned.width)
            batch = batch_tokens_for(options.work, planned.context, tokens)
            base = [
                f"train.threads={options.threads}", f"tokenizer.vocab_size={vocabulary}", f"train.batch_tokens={batch}",
                f"model.width={planned.width}", f"model.n_layers={planned.n_layers}", f"model.context={planned.context}",
                "model.dropout=0.0", "train.optimizer=adamw",
            ]  # fmt: skip
            for name, change in changes(rung, vocabulary, batch).items():
                if options.only and not any(name.startswith(word) for word in options.only):
                    continue
                recipe = with_settings(Recipe(), [*base, *change])
                settings = settings_for(
                    recipe, recipe.tokenizer.vocab_size or vocabulary, planned.width, planned.n_layers
                )
                settings = replace(settings, context=planned.context)
                muon = recipe.train.optimizer == "muon"
                steps = round(options.work / step_work(settings, recipe.train.batch_tokens or batch, muon))
                rate = [] if muon else [f"train.learning_rate={adam_rate(settings.width)}"]
                out = Path(scratch) / f"{text}-{len(rows)}"
                said = [*base, *change, *rate, f"train.steps={steps}"]
                outcome = train([f"data:{text}"], out=out, settings=said, quiet=True)
                rows.append(
                    [text, name, f"{settings.width} × {settings.n_layers}", steps, round(outcome["bits_per_byte"], 4)]
                )
                print(*rows[-1], sep="\t", file=sys.stderr, flush=True)
                write_result(
                    options.out,
                    question="Does the planner choose well? Its plan, and the plan with one choice changed, at equal work.",
                    columns=["text", "changed", "width × layers", "steps", "bits per byte"],
                    rows=rows,
                    notes=[f"{options.work:.2g} floating-point operations each, one seed"],
                )


if __name__ == "__main__":
    main()
