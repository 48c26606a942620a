"""Makes the pages `docs/benchmarks.md` and `docs/benchmarks.zh.md` of all results in `benchmarks/results`.

python benchmarks/render.py
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chinese import chinese
from inkstone.files import write_text
from results import FOLDER, cell, read_results

DOCS = Path(__file__).parent.parent / "docs"

ENGLISH = {
    "title": "Benchmarks",
    "lead": (
        "Each table is one question, made by one command of the folder `benchmarks/`, which runs Inkstone and its peers in "
        "turn on the same data and machine, and writes what it found whatever that is. This page is rendered from those "
        "files by `python benchmarks/render.py` and not edited by hand."
    ),
    "none": "No results have been recorded yet.",
    "command": "Command",
    "machine": "Machine",
    "date": "Date",
}
CHINESE = {
    "title": "基准测试",
    "lead": (
        "每张表回答一个问题，由 `benchmarks/` 文件夹里的一条命令得出：它在同一台机器、同一份数据上轮流运行 Inkstone 与对照程序，"
        "测到什么就写下什么。本页由 `python benchmarks/render.py` 从结果文件生成，不手工修改。"
    ),
    "none": "还没有记录任何结果。",
    "command": "命令",
    "machine": "机器",
    "date": "日期",
}


def page(results: dict[str, dict[str, Any]], words: dict[str, str], translated: Callable[[str], str]) -> str:
    """The whole page in one language."""
    parts = [f"# {words['title']}", words["lead"]]
    if not results:
        parts.append(words["none"])
    asked = None
    for result in results.values():
        if result["question"] != asked:  # the same on another machine stands under one heading
            parts.append(f"## {translated(result['question'])}")
        asked = result["question"]
        parts.append(table(result["table"], translated))
        if result["notes"]:
            parts.append("\n".join(f"- {translated(note)}" for note in result["notes"]))
        machine = "; ".join(f"{name} {value}" for name, value in result["machine"].items())
        parts.append(
            f"{words['command']}: `{result['command']}`  \n{words['machine']}: {machine}  \n"
            f"{words['date']}: {result['date']}"
        )
    return "\n\n".join(parts) + "\n"


def table(values: dict[str, Any], translated: Callable[[str], str]) -> str:
    """A table in Markdown, columns of numbers to the right."""
    columns, rows = values["columns"], values["rows"]
    right = [bool(rows) and all(is_figure(row[at]) for row in rows) for at in range(len(columns))]
    lines = ["| " + " | ".join(translated(name) for name in columns) + " |"]
    lines.append("|" + "|".join("---:" if is_number else "---" for is_number in right) + "|")
    for row in rows:
        lines.append("| " + " | ".join(translated(cell(value)).replace("|", "\\|") for value in row) + " |")
    return "\n".join(lines)


def is_figure(value: Any) -> bool:
    """Whether a cell is a number, one with its unit sign, or empty."""
    return isinstance(value, int | float | None) or re.fullmatch(r"[\d.,]*\s?[%×]?", value) is not None


def main() -> None:
    """Render both pages."""
    results = read_results(FOLDER)
    write_text(DOCS / "benchmarks.md", page(results, ENGLISH, str))
    write_text(DOCS / "benchmarks.zh.md", page(results, CHINESE, chinese))
    print(f"{len(results)} results rendered into {DOCS.name}/benchmarks.md and {DOCS.name}/benchmarks.zh.md")


if __name__ == "__main__":
    main()
