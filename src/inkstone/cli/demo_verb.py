"""`inkstone demo digits`: autoencoders on pictures of written digits."""

import argparse
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("what", metavar="WHAT", nargs="?", default="digits", help="digits (the default)")
    parser.add_argument("--minutes", type=float, default=0.5, help="of training; default 0.5")
    parser.add_argument("--latent", type=int, default=8, metavar="N", help="numbers a picture becomes; default 8")
    parser.add_argument(
        "--mnist", metavar="FOLDER", help="a folder with the files of MNIST, to learn from these instead"
    )
    parser.add_argument("--out", metavar="FOLDER", default="runs/digits", help="where pictures go; default runs/digits")
    parser.add_argument("--seed", type=int, default=0, help="another number, other weights and pictures; default 0")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train, print the table, return the facts."""
    from inkstone.studies.demo import demo

    facts = demo(
        options.what,
        minutes=options.minutes,
        seed=options.seed,
        out=options.out,
        latent=options.latent,
        mnist=options.mnist,
        quiet=options.json,
    )
    if not options.json:
        print(table(facts))
    return facts


def table(facts: dict[str, Any]) -> str:
    """The facts as a person reads them, with the next command."""
    from inkstone.progress import human_time

    of = facts["data"]
    rows = [
        ("each pixel alone", facts["pixels_alone"], "no model: black as often as in training"),
        ("−ELBO", -facts["elbo"], "reconstruction + KL"),
        ("  reconstruction", facts["reconstruction"], "binary cross-entropy, summed over the pixels"),
        ("  KL", facts["kl"], f"{facts['active_units']} of {facts['latent']} units active"),
        ("tighter bound", -facts["importance_bound"], f"importance-weighted, {facts['draws']} draws"),
        ("plain autoencoder", facts["plain_reconstruction"], "reconstruction only; no likelihood of a picture"),
    ]
    shown = {
        "generated": "pictures from N(0, I)",
        "generated-plain": "the same from the plain autoencoder",
        "reconstructed": "test pictures, variational, plain",
        "plane": "the plane of the two units that tell most",
        "map": "test pictures in latent space",
    }
    width = max(len(path) for path in facts["pictures"].values())
    return "\n".join(
        [
            f"{of}: {facts['train_pictures']:,} pictures to learn from, {facts['test_pictures']:,} to test on, "
            f"{facts['pixels']} pixels of 0 or 1; {human_time(facts['seconds'])}",
            "",
            f"  {'nats a test picture':<20}{'':>8}",
            *(f"  {name:<20}{value:>8.2f}   {words}" for name, value, words in rows),
            "",
            *(f"  {facts['pictures'][name]:<{width}}   {words}" for name, words in shown.items()),
            "",
            f"next: inkstone demo digits --latent 2 --out {facts['out']}-2",
        ]
    )
