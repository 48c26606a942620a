"""`inkstone stats TEXT...`: words, n-grams, sentences, terms; as a table here and as files and plots in `--out`."""

import argparse
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument(
        "text",
        nargs="+",
        metavar="TEXT",
        help="files, folders, archives, - for standard input, or data:NAME for a public data set",
    )
    parser.add_argument("--out", metavar="FOLDER", help="write whole tables and SVG plots here")
    parser.add_argument("--format", choices=["parquet", "csv", "jsonl"], default="parquet", help="of the tables")
    parser.add_argument("--ngrams", type=int, default=2, metavar="N", help="count up to N words in a row (default 2)")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="how many of each to show (default 20)")
    parser.add_argument(
        "--by", choices=["file", "document"], default="file", help="what TF-IDF takes as one document (default file)"
    )
    parser.add_argument("--no-stop-words", action="store_true", help="leave function words out of the tables")
    parser.add_argument("--lemmas", action="store_true", help="count dictionary forms: mice as mouse")
    parser.add_argument("--keep-case", action="store_true", help="tell The from the")
    parser.add_argument(
        "--language", metavar="CODE", help="of all documents (en, zh, ...); without it each is looked at"
    )
    parser.add_argument("--tagger", metavar="FOLDER", help="a trained part-of-speech tagger, to count its tags")
    parser.add_argument(
        "--text-column", metavar="NAME", help="the column or key that holds the text (csv, jsonl, parquet)"
    )
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="worker processes (default 1)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Count, print the outcome unless it is asked for as JSON, and return it."""
    from inkstone.evaluation.text_statistics import stats
    from inkstone.text.features import FeatureSettings

    settings = FeatureSettings(
        ngrams=options.ngrams,
        by=options.by,
        language=options.language,
        stop_words=not options.no_stop_words,
        lemmas=options.lemmas,
        keep_case=options.keep_case,
    )
    facts = stats(
        options.text,
        options.out,
        settings=settings,
        tagger=options.tagger,
        top=options.top,
        format=options.format,
        processes=options.processes,
        quiet=options.quiet or options.json,
        text_column=options.text_column,
    )
    if not options.json:
        print(outcome(facts, options.out, options.text))
    return {"out": options.out, **facts}


def outcome(facts: dict[str, Any], out: str | None, text: list[str]) -> str:
    """The facts as words on a screen."""
    from inkstone.progress import human_bytes, human_time

    def listed(counts: dict[str, int], most: int = 8) -> str:
        return ", ".join(f"{name} {number:,}" for name, number in list(counts.items())[:most])

    length = facts["sentence_words"]
    speed = facts["bytes"] / 1e6 / max(facts["seconds"], 1e-9)
    moving = facts["moving_type_token_ratio"]
    richness = "" if moving is None else f", {moving} in windows of {facts['moving_window']} words"
    zipf = "" if facts["zipf_exponent"] is None else f"; Zipf's exponent {facts['zipf_exponent']}"
    lines = [
        f"{facts['documents']:,} documents, {human_bytes(facts['bytes'])} "
        f"({listed(facts['languages'])}), in {human_time(facts['seconds'])} ({speed:.1f} MB/s)",
        f"Words      {facts['words']:,}, {facts['distinct_words']:,} distinct, {facts['once']:,} of them once; "
        f"{facts['word_characters']} characters on average",
        f"Richness   type/token ratio {facts['type_token_ratio']}{richness}{zipf}",
        f"Sentences  {facts['sentences']:,}; words in each: mean {length['mean']}, median {length['median']}, "
        f"90 % at most {length['percentile_90']}, longest {length['longest']:,}; "
        f"{facts['clauses_per_sentence']} clauses on average",
        f"Ends       {listed(facts['sentence_ends'])}",
    ]
    if facts["parts_of_speech"]:
        lines.append(f"Tags       {listed(facts['parts_of_speech'], 20)}")
    if facts["counts_too_low_by_at_most"]:
        lines.append(f"Counts of rare words and n-grams are too low by at most {facts['counts_too_low_by_at_most']:,}")
    columns = [("words", facts["top_words"])]
    columns += [(f"{n} words in a row", rows) for n, rows in facts["top_ngrams"].items()]
    lines += ["", *_table(columns)]
    if facts["units"] > 1:
        lines += ["", f"Terms that tell most of each {facts['by']} (TF-IDF)"]
        lines += [f"  {unit}: {', '.join(terms[:10])}" for unit, terms in facts["top_terms"].items()]
        if facts["units"] > len(facts["top_terms"]):
            lines.append(f"  ... and {facts['units'] - len(facts['top_terms']):,} more in the table `terms` of --out")
    again = " ".join(text)
    lines.append("")
    lines.append(
        f"Written to {out}\nNext: inkstone train {again}" if out else f"Next: inkstone stats {again} --out stats"
    )
    return "\n".join(lines)


def _table(columns: list[tuple[str, list[list[Any]]]]) -> list[str]:
    """Columns of keys with their counts, side by side; a Chinese character takes two places."""
    import unicodedata

    def width(text: str) -> int:
        return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)

    cells = [[f"{number:>9,}  {key}" for key, number in rows] for _, rows in columns]
    heads = [f"{'count':>9}  {name}" for name, _ in columns]
    widths = [max(map(width, [head, *column])) + 2 for head, column in zip(heads, cells, strict=True)]
    lines = []
    for row in range(-1, max(map(len, cells), default=0)):
        parts = [heads[i] if row < 0 else column[row] if row < len(column) else "" for i, column in enumerate(cells)]
        lines.append(
            "".join(part + " " * (wide - width(part)) for part, wide in zip(parts, widths, strict=True)).rstrip()
        )
    return lines
