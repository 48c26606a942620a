"""`inkstone eval RUN [TEXT...]`: bits per byte and perplexity on held-out text, beside the yardsticks; or public tests."""

import argparse
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("run", metavar="RUN", nargs="?", help="a run folder, a checkpoint folder, or a hub name")
    parser.add_argument(
        "text", metavar="TEXT", nargs="*", help="files, folders, - or data:NAME; default: the run's own held-out text"
    )
    parser.add_argument(
        "--suite",
        action="append",
        default=[],
        metavar="NAME",
        help="score on a public test instead, or on a FILE of items, one a line, as "
        '{"query": "Ink is", "choices": ["black", "loud"], "gold": 0} or '
        '{"sentence_good": "...", "sentence_bad": "..."}; repeatable; list: show what there is',
    )
    parser.add_argument(
        "--text-column", metavar="NAME", help="the column or key that holds the text (csv, jsonl, parquet)"
    )
    parser.add_argument("--window", type=int, help="tokens the model reads at once; default: its context, at most 2048")
    parser.add_argument("--stride", type=int, help="predictions counted in each window; default: half the window")
    parser.add_argument(
        "--share", type=float, default=1.0, help="share of the text to score, evenly spaced; default: 1"
    )
    parser.add_argument("--no-yardsticks", action="store_true", help="leave out xz and zstd, which take a few seconds")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto, the default: a GPU where there is one")
    parser.add_argument("--seed", type=int, default=0, help="seed of the interval; default: 0")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Score, print the table, return the figures."""
    from inkstone.errors import InkstoneError
    from inkstone.tasks.scoring import eval as evaluate, is_tuned
    from inkstone.text.sources import check_there

    if not 0 < options.share <= 1:
        raise InkstoneError(f"--share {options.share} is not a share; it takes more than 0, at most 1")
    if options.suite:
        from inkstone.cli.suite_table import run_suites

        return run_suites(options)
    if options.run is None:
        raise InkstoneError("name what to score: inkstone eval RUN")
    check_there(options.text or ())
    if is_tuned(options.run, options.text):
        figures = evaluate(options.run, options.text or None, device=options.device, seed=options.seed)
        if not options.json:
            print(task_table(figures))
        return figures
    figures = evaluate(
        options.run,
        options.text or None,
        text_column=options.text_column,
        window=options.window,
        stride=options.stride,
        share=options.share,
        compressors=not options.no_yardsticks,
        device=options.device,
        seed=options.seed,
        quiet=options.json,
    )
    if not options.json:
        print(table(figures))
    return figures


def task_table(figures: dict[str, Any]) -> str:
    """The figures of a run that was tuned for a task: of examples that were named, or as it recorded them of its own parts."""
    from inkstone.evaluation.figure_words import figure_in_words

    if figures["text"] == "held-out":
        parts = figures["figures"]
    else:
        parts = {f"{', '.join(figures['text'])}, {figures['examples']:,} examples": figures["figures"]}
    lines = []
    for part, own in parts.items():
        lines += [
            f"{figures['run']} on {part}",
            *(f"  {name:<20}{figure_in_words(figure)}" for name, figure in own.items()),
        ]
    lines += [f"  {doubt}" for doubt in _doubts(figures["understood"])] if "understood" in figures else []
    asked = "RECORDING" if any("word accuracy" in own for own in parts.values()) else '"..."'
    return "\n".join([*lines, "", f"next: inkstone predict {figures['run']} {asked}"])


def _doubts(understood: dict[str, Any]) -> list[str]:
    """What is to be known of the examples: rows that are left out or doubtful, encodings, leaks, with the first places."""
    doubts = []
    for verb, kind in (("left out", "refused"), ("doubtful", "mended")):
        for reason, (count, *places) in understood[kind].items():
            more = ", ..." if count > len(places) else ""
            doubts.append(f"{count:,} row{'s' * (count != 1)} {verb}: {reason} ({', '.join(places)}{more})")
    if count := understood["malformed"]:
        doubts.append(f"{count:,} malformed record{'s' * (count != 1)} left out")
    return doubts + understood["encodings"] + understood["notices"]


def table(figures: dict[str, Any]) -> str:
    """The figures as a person reads them, with the next command."""
    from inkstone.progress import human_bytes, human_count, human_time

    text = figures["text"]
    source = "its own held-out text" if text == "held-out" else ", ".join(text)
    documents = "1 document" if figures["documents"] == 1 else f"{figures['documents']:,} documents"
    lines = [
        f"{figures['run']} on {source}: {documents}, {human_bytes(figures['bytes'])}, "
        f"{human_count(figures['tokens'], 'tokens')}",
        "",
        f"  {'bits per byte':<16}{figures['bits_per_byte']:>8.3f}{_interval(figures)}",
        f"  {'perplexity':<16}{_short(figures['perplexity_token']):>8}   a token;  {_short(figures['perplexity_word'])} a word;  "
        f"{_short(figures['perplexity_character'])} a character",
    ]
    lines += _yardstick_lines(figures.get("yardsticks") or {})
    window, share = figures["window"], figures["share"]
    how = f"window {window:,} tokens, {figures['stride']:,} counted in each" if window else "each document read through"
    part = f"; {share:.0%} of the text" if share < 1 else ""
    next_text = " TEXT" if text == "held-out" else ""
    next_command = (
        f"inkstone eval {figures['run']}{next_text}" if next_text else f'inkstone generate {figures["run"]} "..."'
    )
    lines += ["", f"  {how}{part}; {human_time(figures['seconds'])}", "", f"next: {next_command}"]
    return "\n".join(lines)


def _interval(figures: dict[str, Any]) -> str:
    if figures["low"] is None:
        return "   (too little text for an interval)"
    return (
        f"   {figures['confidence']:.0%} between {figures['low']:.3f} and {figures['high']:.3f} "
        f"(bootstrap over {figures['interval_units']} {figures['interval_over']})"
    )


def _yardstick_lines(figures: dict[str, Any]) -> list[str]:
    alone = {name: value for name, value in figures.items() if name in ("xz -9e", "zstd -19")}
    if not alone:
        return []
    lines = [
        "",
        f"  {'yardsticks':<16}{'alone':>8}   {'having seen the training text' if figures['train_bytes'] else ''}",
    ]
    for name, value in alone.items():
        after = figures.get(f"{name} after training text")
        lines.append(f"  {name:<16}{value:>8.3f}" + (f"   {after:.3f}" if after is not None else ""))
    if figures["sampled"]:
        from inkstone.progress import human_bytes

        seen = f", after {human_bytes(figures['train_bytes'])} of training text" if figures["train_bytes"] else ""
        lines.append(f"  (yardsticks on a sample: {human_bytes(figures['held_out_bytes'])}{seen})")
    return lines


def _short(number: float) -> str:
    return f"{number:,.0f}" if 1000 <= number < 1e7 else f"{number:.3g}"
