"""`inkstone vectors TEXT...`: word vectors from text; `inkstone vectors FOLDER --neighbours WORD` asks them."""

import argparse
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument(
        "text",
        nargs="+",
        metavar="TEXT",
        help="files, folders, archives, - for standard input, or data:NAME; with a question, the vectors to ask",
    )
    parser.add_argument("--out", metavar="FOLDER", help="the folder to write (default runs/NAME-vectors)")
    parser.add_argument(
        "--method", choices=["skip-gram", "cbow", "glove"], default="skip-gram", help="default: skip-gram"
    )
    parser.add_argument("--minutes", type=float, help="learn for so long")
    parser.add_argument(
        "--epochs", type=int, help="read the text so often (default: 30 million words in all, 5 to 30 times; glove 15)"
    )
    parser.add_argument("--width", type=int, default=100, help="numbers in a vector (default 100)")
    parser.add_argument("--window", type=int, help="words of context on each side (default 5, for glove 10)")
    parser.add_argument(
        "--negative", type=int, default=5, metavar="N", help="negative samples; 0: hierarchical softmax (default 5)"
    )
    parser.add_argument("--min-count", type=int, default=5, metavar="N", help="leave out rarer words (default 5)")
    parser.add_argument("--threads", type=int, help="default: one a core; 1 repeats exactly")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default 0)")
    parser.add_argument(
        "--text-column", metavar="NAME", help="the column or key that holds the text (csv, jsonl, parquet)"
    )
    parser.add_argument("--map", choices=["pca", "tsne"], default="pca", help="how map.svg is drawn (default pca)")
    parser.add_argument("--neighbours", metavar="WORD", help="ask trained vectors: the words nearest to this one")
    parser.add_argument(
        "--analogy", nargs=3, metavar=("A", "B", "C"), help="ask trained vectors: A is to B as C is to what?"
    )
    parser.add_argument("--count", type=int, default=10, metavar="N", help="answers to show (default 10)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Learn and say what came of it, or answer a question."""
    if options.neighbours is not None or options.analogy is not None:
        return _answer(options)
    from inkstone.vectors.learning import learn_vectors

    facts = learn_vectors(
        options.text,
        options.out,
        method=options.method,
        width=options.width,
        window=options.window,
        negative=options.negative,
        min_count=options.min_count,
        minutes=options.minutes,
        epochs=options.epochs,
        threads=options.threads,
        seed=options.seed,
        text_column=options.text_column,
        map_method=options.map,
        quiet=options.quiet or options.json,
    )
    if not options.json:
        print(outcome(facts))
    return facts


def outcome(facts: dict[str, Any]) -> str:
    """The facts as words on a screen."""
    from inkstone.progress import human_count, human_time

    lines = [
        f"{facts['words']:,} words with a vector, learned from {human_count(facts['text_words'], 'words')} "
        f"by {facts['method']} in {human_time(facts['learning_seconds'])}",
        "",
    ]
    for word, near in facts["neighbours"].items():
        lines.append(f"  {word}: " + ", ".join(f"{other} {cosine:.2f}" for other, cosine in near))
    if facts["tests"]:
        lines.append("")
    for name, score in facts["tests"].items():
        if "spearman" in score:
            figure = "–" if score["spearman"] is None else f"{score['spearman']:.3f}"
            lines.append(
                f"  {name}: rank correlation {figure}; covers {score['covered']:,} of {score['pairs']:,} pairs"
            )
        else:
            figure = "–" if score["accuracy"] is None else f"{score['accuracy']:.1%}"
            lines.append(f"  {name}: {figure} right; covers {score['covered']:,} of {score['questions']:,} questions")
    if not facts["tests"]:
        lines += ["", "  no public test of similarity or analogy is on this machine, or none covers these words"]
    example = next(iter(facts["neighbours"]))
    folder = facts["folder"]
    lines += ["", f"Written to {folder}: vectors.bin, vectors.txt, map.svg, vectors.json"]
    return "\n".join([*lines, f"Next: inkstone vectors {folder} --neighbours {example}"])


def _answer(options: argparse.Namespace) -> dict[str, Any]:
    from inkstone.errors import RecipeError
    from inkstone.vectors.learning import open_vectors

    if len(options.text) != 1:
        raise RecipeError(f"a question is put to one folder or file of vectors, not to {len(options.text)}")
    if options.count < 1:
        raise RecipeError(f"--count must be 1 at least, not {options.count}")
    known = open_vectors(options.text[0])
    facts: dict[str, Any] = {"vectors": options.text[0], "words": len(known)}
    if options.neighbours is not None:
        facts["neighbours"] = known.neighbours(options.neighbours, options.count)
    if options.analogy is not None:
        facts["analogy"] = known.analogy(*options.analogy, count=options.count)
    if not options.json:
        for question in ("neighbours", "analogy"):
            for word, cosine in facts.get(question, []):
                print(f"{cosine:6.3f}  {word}")
    return facts
