"""`inkstone clean TEXT... --out FOLDER`: what is kept as parquet or jsonl, and a table of what was dropped and why."""

import argparse
import textwrap
from typing import Any

EXAMPLE_WIDTH = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument(
        "text",
        nargs="+",
        metavar="TEXT",
        help="files, folders, archives, - for standard input, or data:NAME for a public data set",
    )
    parser.add_argument(
        "--out", required=True, metavar="FOLDER", help="the folder to write; an earlier cleaning is replaced"
    )
    parser.add_argument("--format", choices=["parquet", "jsonl"], default="parquet", help="of what is written")
    parser.add_argument(
        "--text-column", metavar="NAME", help="the column or key that holds the text (csv, jsonl, parquet)"
    )
    parser.add_argument(
        "--language",
        action="append",
        default=[],
        metavar="CODE",
        help="keep this language (en, zh, ...); may be repeated",
    )
    parser.add_argument(
        "--min-characters", type=int, metavar="N", help="drop shorter documents; a Chinese character counts three times"
    )
    parser.add_argument(
        "--unicode",
        choices=["NFC", "NFKC", "none"],
        default="NFC",
        help="normal form; NFKC folds full-width punctuation too",
    )
    parser.add_argument("--no-near-duplicates", action="store_true", help="drop only exact duplicates")
    parser.add_argument(
        "--threshold", type=float, default=0.8, metavar="J", help="Jaccard similarity of near-duplicates (default 0.8)"
    )
    parser.add_argument("--keep-boilerplate", action="store_true", help="leave lines in that recur across documents")
    parser.add_argument("--no-quality", action="store_true", help="apply no quality filter")
    parser.add_argument(
        "--processes", type=int, metavar="N", help="worker processes (default: one a core, at most eight)"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Clean, print the outcome unless it is asked for as JSON, and return it."""
    from inkstone.text.clean import CleanSettings, clean
    from inkstone.text.filters import Limits

    limits = Limits() if options.min_characters is None else Limits(min_characters=options.min_characters)
    settings = CleanSettings(
        unicode_form=options.unicode,
        languages=tuple(options.language),
        limits=limits,
        quality=not options.no_quality,
        boilerplate=not options.keep_boilerplate,
        near_duplicates=not options.no_near_duplicates,
        threshold=options.threshold,
    )
    report = clean(
        options.text,
        options.out,
        settings=settings,
        format=options.format,
        processes=options.processes,
        quiet=options.quiet or options.json,
        text_column=options.text_column,
    )
    if not options.json:
        print(outcome(report, options.out))
    return {"out": str(options.out), **report.to_dict()}


def outcome(report: Any, out: str) -> str:
    """The report as words on a screen."""
    from inkstone.progress import human_bytes, human_time

    def share(part: int, whole: int) -> str:
        return f"{part / max(whole, 1):.1%}"

    speed = report.bytes / 1e6 / max(report.seconds, 1e-9)
    lines = [
        f"Kept {report.kept_documents:,} of {report.documents:,} documents ({share(report.kept_documents, report.documents)}), "
        f"{human_bytes(report.kept_bytes)} of {human_bytes(report.bytes)} ({share(report.kept_bytes, report.bytes)}), "
        f"in {human_time(report.seconds)} ({speed:.1f} MB/s).",
    ]
    if report.dropped:
        width = max(len(reason) for reason in report.dropped)
        lines += ["", f"{'Dropped because':<{width + 2}} {'documents':>11} {'text':>9}"]
        for reason, entry in report.dropped.items():
            lines.append(f"  {reason:<{width}} {entry.documents:>11,} {human_bytes(entry.bytes):>9}")
            lines += ["      " + _example(name, text) for name, text in entry.examples]
    removed = report.removed_lines
    if removed.lines or removed.bytes:
        lines += [
            "",
            f"Boilerplate: {removed.lines:,} lines ({human_bytes(removed.bytes)}) out of {removed.documents:,} documents",
        ]
        lines += [
            f"  {times:>9,} × {textwrap.shorten(line, EXAMPLE_WIDTH, placeholder=' …')}"
            for line, times in list(removed.examples.items())[:5]
        ]
    repairs = report.repairs
    repaired = {
        "mojibake": repairs.mojibake,
        "Unicode form": repairs.unicode_form,
        "blanks and control": repairs.invisible_or_blank,
    }
    if any(repaired.values()):
        lines += [
            "",
            "Repaired documents: " + ", ".join(f"{count:,} {name}" for name, count in repaired.items() if count),
        ]
    lines += ["", "Languages: " + _languages(report)]
    lines.append("Encodings: " + ", ".join(f"{name} {count:,}" for name, count in report.encodings.most_common(6)))
    lines += [f"  {note}" for note in report.encoding_notes()]
    if report.skipped:
        source, reason = report.skipped[0]
        lines.append(f"Skipped: {len(report.skipped):,} files, the first {source}: {reason}")
    lines += ["", f"Written to {out}; what was dropped, and why, is in {out}/.cleaning", f"Next: inkstone train {out}"]
    return "\n".join(lines)


def _example(name: str, text: str) -> str:
    return textwrap.shorten(f"{name}: {text}", EXAMPLE_WIDTH, placeholder=" …")


def _languages(report: Any) -> str:
    from inkstone.progress import human_bytes

    shown = [f"{code} {human_bytes(entry.bytes)}" for code, entry in list(report.languages.items())[:6]]
    scripts = {"Hans": "simplified", "Hant": "traditional"}
    chinese = ", ".join(f"{count:,} {scripts[script]}" for script, count in report.chinese_scripts.most_common())
    more = f", and {len(report.languages) - 6} more" if len(report.languages) > 6 else ""
    return ", ".join(shown) + more + (f" (Chinese documents: {chinese})" if chinese else "")
