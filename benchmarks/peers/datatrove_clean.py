"""The peer of benchmarks/cleaning.py: the same steps with datatrove, as its examples put them together.

Reader, ftfy, Gopher quality filter, writer; then MinHash in four stages. Usage: python datatrove_clean.py IN OUT WORKERS

Each stage has one task a worker, but for the buckets, of which datatrove wants a task each. By its own statistics three
fifths of its time go into the first stage, half of that into the filter and two fifths into ftfy, and most of the rest
into the signatures: all of it Python, word by word.
"""

import re
import sys
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.filters import GopherQualityFilter
from datatrove.pipeline.formatters import FTFYFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.word_tokenizers import WordTokenizer


class Units(WordTokenizer):
    """Words, and single Chinese characters: many times faster than the spaCy tokenizers that datatrove would take."""

    def word_tokenize(self, text: str) -> list[str]:
        return re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+", text)

    def sent_tokenize(self, text: str) -> list[str]:
        return text.splitlines()

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        raise NotImplementedError


def main(source: Path, out: Path, workers: int) -> None:
    """Clean the jsonl files of a folder."""
    tasks = workers
    config = MinhashConfig(num_buckets=16, hashes_per_bucket=8)
    # Chinese units are one character long and Gopher's stop words are English: these two limits are taken off.
    gopher = GopherQualityFilter(min_doc_words=5, min_avg_word_length=None, min_stop_words=None, language=Units())
    filtered, work = str(out / "filtered"), out / "work"

    def run(stage: str, steps: list, tasks: int) -> None:
        logs = str(work / "logs" / stage)
        LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=logs, start_method="fork").run()

    run("filter", [JsonlReader(str(source)), FTFYFormatter(), gopher, JsonlWriter(filtered, compression=None)], tasks)
    signatures = str(work / "signatures")
    run("signatures", [JsonlReader(filtered), MinhashDedupSignature(signatures, config, language=Units())], tasks)
    run("buckets", [MinhashDedupBuckets(signatures, str(work / "buckets"), config=config)], config.num_buckets)
    run("cluster", [MinhashDedupCluster(str(work / "buckets"), str(work / "remove"), config=config)], 1)
    final = [
        JsonlReader(filtered),
        MinhashDedupFilter(str(work / "remove")),
        JsonlWriter(str(out / "kept"), compression=None),
    ]
    run("drop", final, tasks)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
