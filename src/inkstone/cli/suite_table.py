"""What `inkstone eval --suite` shows: the suites there are, and a table of a model's figures on some of them."""

from typing import Any


def run_suites(options: Any) -> dict[str, Any]:
    """List the suites, or score the run on those that are named; print the table; return the figures."""
    from inkstone.errors import InkstoneError
    from inkstone.evaluation.suites import SUITES, eval_suites

    if "list" in options.suite:
        if not options.json:
            print(listing({name: suite.title for name, suite in SUITES.items()}))
        return {"suites": {name: {"title": suite.title, "source": suite.source} for name, suite in SUITES.items()}}
    if options.run is None:
        raise InkstoneError(f"name what to score: inkstone eval RUN --suite {options.suite[0]}")
    if options.text:
        raise InkstoneError(f"give a TEXT ({options.text[0]}) or --suite, which has a text of its own, not both")
    figures = eval_suites(
        options.run,
        options.suite,
        window=options.window,
        share=options.share,
        device=options.device,
        seed=options.seed,
        quiet=options.json,
    )
    if not options.json:
        print(table(figures))
    return figures


def listing(titles: dict[str, str]) -> str:
    """The suites by name, with the next command."""
    width = max(map(len, titles))
    lines = [f"  {name:<{width}}  {title}" for name, title in titles.items()]
    own = f"  {'FILE.jsonl':<{width}}  your own: minimal pairs, choices, contexts or last words"
    return "\n".join([*lines, own, "", "next: inkstone eval RUN --suite blimp"])


def table(figures: dict[str, Any]) -> str:
    """A line a suite, with the fields of the one that has them, and the next command."""
    from inkstone.progress import human_time

    rows = [("", "items", "acc", "95 % interval", "acc_norm", "chance", "")]
    for name, suite in figures["suites"].items():
        rows.append((name, f"{suite['items']:,}", *_cells(suite), _remark(suite)))
        for field, value in suite.get("fields", {}).items():
            rows.append((f"  {field}", "", f"{value:.3f}", "", "", "", ""))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if at in (0, 6) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    window, share = figures["window"], figures["share"]
    how = f"window {window:,} tokens" if window else "each text read through"
    part = f"; {share:.0%} of the items" if share < 1 else ""
    first = next(iter(figures["suites"]))
    more = f"inkstone eval {figures['run']} --suite {first}" if share < 1 else "inkstone eval --suite list"
    return "\n".join([*lines, "", f"  {how}{part}; {human_time(figures['seconds'])}", "", f"next: {more}"])


def _cells(suite: dict[str, Any]) -> tuple[str, str, str, str]:
    low, high = suite["acc_low"], suite["acc_high"]
    interval = "" if low is None else f"{low:.3f} to {high:.3f}"
    norm = f"{suite['acc_norm']:.3f}" if "acc_norm" in suite else ""
    return f"{suite['acc']:.3f}", interval, norm, f"{suite['chance']:.3f}"


def _remark(suite: dict[str, Any]) -> str:
    if "perplexity" in suite:
        value = suite["perplexity"]
        return f"perplexity of the word {value:,.0f}" if value >= 100 else f"perplexity of the word {value:.3g}"
    if "paradigms" in suite:
        return f"mean of {len(suite['paradigms'])} paradigms" + (
            f", {suite['likelihood']}" if "likelihood" in suite else ""
        )
    return suite.get("likelihood", "")
