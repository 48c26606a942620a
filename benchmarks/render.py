"""Makes the pages `docs/benchmarks.md` and `docs/benchmarks.zh.md` of all results in `benchmarks/results`.

python benchmarks/render.py
"""

from pathlib import Path
from typing import Any

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

# What the tables say, in Chinese; what is missing here stays English.
TRANSLATED = {
    "text": "文本",
    "trained by": "训练者",
    "minutes given": "给定分钟数",
    "seconds taken": "实际秒数",
    "bits per byte": "每字节比特数",
    "95 % interval": "95% 区间",
    "tokens/s": "词元/秒",
    "ratio": "倍数",
    "peer": "对照程序",
    "program": "程序",
    "shape": "规模",
    "number format": "数值格式",
    "corpus": "语料",
    "peak memory": "内存峰值",
    "How many bits per byte of held-out text after so many minutes of wall clock?": "给定这么多分钟，留出文本上每字节要多少比特？",
}


def page(results: dict[str, dict[str, Any]], words: dict[str, str], translated: dict[str, str]) -> str:
    """The whole page in one language."""
    parts = [f"# {words['title']}", words["lead"]]
    if not results:
        parts.append(words["none"])
    for result in results.values():
        parts.append(f"## {translated.get(result['question'], result['question'])}")
        parts.append(table(result["table"], translated))
        if result["notes"]:
            parts.append("\n".join(f"- {translated.get(note, note)}" for note in result["notes"]))
        machine = "; ".join(f"{name} {value}" for name, value in result["machine"].items())
        parts.append(
            f"{words['command']}: `{result['command']}`  \n{words['machine']}: {machine}  \n"
            f"{words['date']}: {result['date']}"
        )
    return "\n\n".join(parts) + "\n"


def table(values: dict[str, Any], translated: dict[str, str]) -> str:
    """A table in Markdown, columns of numbers to the right."""
    columns, rows = values["columns"], values["rows"]
    right = [bool(rows) and all(isinstance(row[at], int | float | None) for row in rows) for at in range(len(columns))]
    lines = ["| " + " | ".join(translated.get(name, name) for name in columns) + " |"]
    lines.append("|" + "|".join("---:" if is_number else "---" for is_number in right) + "|")
    for row in rows:
        lines.append("| " + " | ".join(cell(value).replace("|", "\\|") for value in row) + " |")
    return "\n".join(lines)


def main() -> None:
    """Render both pages."""
    results = read_results(FOLDER)
    write_text(DOCS / "benchmarks.md", page(results, ENGLISH, {}))
    write_text(DOCS / "benchmarks.zh.md", page(results, CHINESE, TRANSLATED))
    print(f"{len(results)} results rendered into {DOCS.name}/benchmarks.md and {DOCS.name}/benchmarks.zh.md")


if __name__ == "__main__":
    main()
