"""How much faster does a draft make writing, and how often are its guesses right?

    python benchmarks/speculative.py RUN --pairs 5
    python benchmarks/speculative.py RUN --smaller RUN2

Plain writing and writing with each draft, in turn on the same prompts, all by one loaded model: a ratio is the median over the
pairs of the two times of a pair. Two kinds of text: open ones, whose prompts are the beginnings of documents of the run's held-out
text, and ones that repeat, as a summary, an edit of code or a quoting answer does: a passage of held-out text stands twice in the
prompt, and a third time begins. Greedy, where every text must be the plain one (it is checked), and drawn at the default
temperature. Each draft guesses as long as it pays ("adaptive") and without pause ("always").
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from inkstone.hub.folder import load
from inkstone.inference.drafts import draft_of
from inkstone.inference.generation import stream
from inkstone.inference.sampling import Sampling
from inkstone.inference.speculative import Speculation
from inkstone.run import Run
from inkstone.tokens.shards import TokenShards
from results import write_result


def prompts_of(run: Path, kind: str, many: int, end: int) -> list[list[int]]:
    """Ids to go on from."""
    shards = TokenShards(Run(run).held_out_shards)
    documents = [document.tolist() for document in shards.documents() if len(document) >= 64][:many]
    if kind == "open":
        return [[end, *document[:16]] for document in documents]
    return [[end, *document[:40], end, *document[:40], end, *document[:6]] for document in documents]


def write(model, prompts: list[list[int]], sampling: Sampling, speculation: Speculation | None) -> tuple[float, list]:
    """Seconds for all, and the texts."""
    began = time.perf_counter()
    done = []
    for prompt in prompts:
        pieces = stream(model, prompt, sampling, ends=(), speculation=speculation)
        done += [piece.generated for piece in pieces if piece.generated]
    return time.perf_counter() - began, done


def main() -> None:
    """Measure, print, and write the result where a place is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder with its shards")
    parser.add_argument("--smaller", type=Path, help="a smaller run with the same tokenizer")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--draft-tokens", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where the result goes, as benchmarks/results/speculative.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load(options.run)
    drafts = {"lookup": "lookup", "ngram": "ngram"} | ({"run": str(options.smaller)} if options.smaller else {})
    opened = {name: draft_of(draft, model, options.run) for name, draft in drafts.items()}
    rows = []
    for kind in ("open", "repeating"):
        prompts = prompts_of(options.run, kind, options.prompts, model.tokenizer.end)
        for temperature in (0.0, 0.8):
            sampling = Sampling(temperature=temperature, max_tokens=options.tokens)
            write(model, prompts[:1], sampling, None)
            for name, draft in opened.items():
                for always in (False, True):
                    speculation = Speculation(draft, options.draft_tokens, always)
                    ratios, facts, speeds = [], [], []
                    for _ in range(options.pairs):
                        plain, texts = write(model, prompts, sampling, None)
                        guessed, drafted = write(model, prompts, sampling, speculation)
                        if temperature == 0 or name == "lookup":
                            assert [one.ids for one in drafted] == [one.ids for one in texts], "another text"
                        ratios.append(plain / guessed)
                        speeds.append(sum(len(one.ids) for one in texts) / plain)
                        facts += [one.speculated for one in drafted]
                    drafted_tokens = sum(each.drafted for each in facts)
                    share = sum(each.accepted for each in facts) / max(1, drafted_tokens)
                    speed, ratio = statistics.median(speeds), statistics.median(ratios)
                    mode = "always" if always else "while it pays"
                    each = drafted_tokens / len(facts)
                    rows.append([kind, temperature, name, mode, each, share, speed, ratio, min(ratios), max(ratios)])
                    print(
                        f"{kind:10} T {temperature:.1f}  {name:7} {mode:14} {share:4.0%} of {each:5.1f} a text   "
                        f"{speed:6.0f} tokens/s plain   {ratio:.2f} times that ({min(ratios):.2f} to {max(ratios):.2f})",
                        flush=True,
                    )
    if options.out:
        columns = ["text", "temperature", "draft", "guesses", "guessed a text", "accepted", "plain tokens a second"]
        write_result(
            options.out,
            question="How much faster does a draft make writing, and how often are its guesses right?",
            columns=[*columns, "times plain", "least of the pairs", "most"],
            rows=rows,
            notes=[
                f"{model.n_parameters():,} weights, {options.threads} thread, {options.prompts} prompts of each kind, "
                f"{options.tokens} tokens each, {options.pairs} pairs of plain and drafted writing in turn."
            ],
        )


if __name__ == "__main__":
    main()
