"""Makes the pages `docs/benchmarks.md` and `docs/benchmarks.zh.md` of all results in `benchmarks/results`.

python benchmarks/render.py
"""

import re
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
    "What did each idea in the history of the field buy, on the same text in the same minutes?": "同一文本、同样的分钟数，这个领域历史上的每个想法换来了什么？",
    "Does the planner choose well? Its plan, and the plan with one choice changed, at equal work.": "规划器选得好吗？它的计划，以及改动一项选择的计划，运算量相同",
    "How fast does text become a tokenizer, and then tokens, against tokenizers and datatrove?": "文本多快变成分词器、再变成词元？与 tokenizers 和 datatrove 比较",
    "How fast is a training step at a fixed shape?": "固定规模下，训练一步有多快？",
    "How fast is cleaning and deduplication against datatrove?": "清洗与去重有多快？与 datatrove 比较",
    "How many bits per byte of held-out text after so many minutes of wall clock?": "给定这么多分钟，留出文本上每字节要多少比特？",
    "How many tokens a second does generation write, greedily, with a cache?": "使用缓存、每次取最可能的词元，生成每秒写多少词元？",
    "95 % interval": "95% 区间",
    "steps": "步数",
    "width × layers": "宽度 × 层数",
    "changed": "改动",
    "tokens scored a second": "每秒评分词元数",
    "seconds of training": "训练秒数",
    "likelihood": "似然",
    "model": "模型",
    "MB": "MB",
    "MB/s": "MB/秒",
    "bits per byte": "每字节比特数",
    "bytes per token": "每词元字节数",
    "contestant": "参赛者",
    "documents": "文档数",
    "inkstone is faster by": "inkstone 快多少倍",
    "kept": "保留",
    "language": "语言",
    "minutes given": "给定分钟数",
    "number format": "数值格式",
    "dropped": "去掉",
    "peak memory, MB": "内存峰值，MB",
    "summed RSS, MB": "RSS 之和，MB",
    "planted": "埋入的重复",
    "text, MB": "文本，MB",
    "program": "程序",
    "seconds": "秒数",
    "seconds taken": "实际秒数",
    "shape": "规模",
    "share of the measured peak": "占实测峰值的比例",
    "text": "文本",
    "texts at once": "同时写的份数",
    "time / inkstone's": "时间与 inkstone 之比",
    "times the fastest peer": "最快对照程序的倍数",
    "tokens a second": "词元/秒",
    "trained by": "训练者",
    "who": "程序",
    "work": "工作",
    "Does a text VAE say anything through its latent vector, and at what cost beside a language model?": "文本变分自编码器的潜向量说了什么？与语言模型相比代价多大？",
    "body": "主体",
    "trained as": "训练成",
    "weights": "权重数",
    "CPU seconds": "CPU 秒数",
    "−ELBO, nats a token": "−ELBO（nat/词元）",
    "bound, nats a token": "界（nat/词元）",
    "KL, nats a line": "KL（nat/行）",
    "active units of 16": "16 个单元中活跃的",
    "mutual information, nats": "互信息（nat）",
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
    right = [bool(rows) and all(is_figure(row[at]) for row in rows) for at in range(len(columns))]
    lines = ["| " + " | ".join(translated.get(name, name) for name in columns) + " |"]
    lines.append("|" + "|".join("---:" if is_number else "---" for is_number in right) + "|")
    for row in rows:
        lines.append("| " + " | ".join(cell(value).replace("|", "\\|") for value in row) + " |")
    return "\n".join(lines)


def is_figure(value: Any) -> bool:
    """Whether a cell is a number, one with its unit sign, or empty."""
    return isinstance(value, int | float | None) or re.fullmatch(r"[\d.,]*\s?[%×]?", value) is not None


def main() -> None:
    """Render both pages."""
    results = read_results(FOLDER)
    write_text(DOCS / "benchmarks.md", page(results, ENGLISH, {}))
    write_text(DOCS / "benchmarks.zh.md", page(results, CHINESE, TRANSLATED))
    print(f"{len(results)} results rendered into {DOCS.name}/benchmarks.md and {DOCS.name}/benchmarks.zh.md")


if __name__ == "__main__":
    main()
