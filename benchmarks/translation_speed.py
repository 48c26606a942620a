"""How many texts a second does an encoder-decoder write with five beams? Ours and `transformers.generate`, from one folder.

    python benchmarks/translation_speed.py --pairs 3

A random model of about 10 million weights in the layout of Marian is exported as a folder, which both open. Each writes to
the same sources, random ids of 5 to 40 tokens: texts of equal lengths, of which none is over sooner than another, and texts
as long as their sources, as those of translations about are. The peer reads the sources in batches, as they come; of texts
as long as their sources it is told by a processor of its logits when each ends, and is given them sorted by length too.
Seconds of the processor, one thread, in turn.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import transformers

from inkstone.hub.bart_marian import write
from inkstone.hub.folder import load
from inkstone.inference.writing import write_texts
from inkstone.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from inkstone.tokens.learning import learn_tokenizer
from results import FOLDER, write_result

SETTINGS = EncoderDecoderSettings(
    vocab_size=8192, width=256, n_layers=4, n_heads=8, hidden=1024, context=256, norm="post", n_sentinels=0
)
BEAMS = 5
SHORTEST, LONGEST = 5, 40  # tokens of a source
AS_SOURCE = "as long as the source"

Texts = list[list[int]]


def random_folder(folder: Path) -> int:
    """Export a model in which no matrix is zero, and return how many weights it has."""
    tokenizer = learn_tokenizer(iter(["ink"]), "byte-bpe", 260)
    tokenizer.backend.add_tokens([f"token {number}" for number in range(tokenizer.vocab_size, SETTINGS.vocab_size)])
    generator = torch.Generator().manual_seed(0)
    whole = type(tokenizer)(tokenizer.backend, end=tokenizer.end)
    model = EncoderDecoder(SETTINGS, whole).initialise(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    write(model, folder)
    return model.n_parameters()


class EndsWithSource(transformers.LogitsProcessor):
    """The last token of each text is the end, when it is as long as its source, and no other."""

    def __init__(self, lengths: Sequence[int], end: int):
        self.lengths, self.end = torch.tensor(lengths).repeat_interleave(BEAMS), end

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        last = self.lengths <= input_ids.shape[1]
        scores[:, self.end] = float("-inf")
        scores[last] = float("-inf")
        scores[last, self.end] = 0.0
        return scores


def peer(model, sources: Sequence[Sequence[int]], tokens: int | None, rows: int) -> Texts:
    """`transformers.generate` in batches of so many sources; `tokens`: of each text, None: as many as its source has."""
    texts: Texts = []
    end = model.config.eos_token_id
    for at in range(0, len(sources), rows):
        batch = sources[at : at + rows]
        longest = max(map(len, batch))
        ids = torch.tensor([[*source, *[end] * (longest - len(source))] for source in batch])
        mask = torch.arange(longest) < torch.tensor([len(source) for source in batch])[:, None]
        if tokens is None:
            length = dict(
                max_new_tokens=longest, logits_processor=[EndsWithSource([len(source) for source in batch], end)]
            )
        else:
            length = dict(max_new_tokens=tokens, min_new_tokens=tokens)
        written = model.generate(ids, attention_mask=mask.long(), num_beams=BEAMS, do_sample=False, **length)
        texts += [row[1:].tolist() for row in written]
    return texts


def ours(model: EncoderDecoder, sources: Sequence[Sequence[int]], tokens: int | None) -> Texts:
    """Our writer, which sorts sources itself and knows how long each text may be."""
    limit = tokens if tokens is not None else lambda length: length
    found = write_texts(model, sources, max_tokens=limit, beams=BEAMS, ends=())
    return [list(texts[0].ids) for texts in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--sources", type=int, default=64)
    parser.add_argument("--rows", type=int, default=32, help="sources in a batch of the peer")
    parser.add_argument("--tokens", type=int, nargs="*", default=[20, 40], help="of texts of equal lengths")
    parser.add_argument("--out", type=Path, default=FOLDER / "translation_speed.json")
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (options.sources,), generator=generator).tolist()
    with tempfile.TemporaryDirectory() as name:
        weights = random_folder(Path(name))
        model = load(Path(name))
        theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(name).eval()
    end = model.tokenizer.end
    ids = [torch.randint(0, SETTINGS.vocab_size, (length,), generator=generator).tolist() for length in lengths]
    by_length = sorted(ids, key=len)
    rows: list[list] = []
    same, total = 0, 0
    for tokens in [*options.tokens, None]:
        # No text of equal length ends; of the others a processor says when.
        theirs.generation_config.eos_token_id = end if tokens is None else None
        theirs.generation_config.pad_token_id = end
        contestants: dict[str, Callable[[], Texts]] = {
            "inkstone": lambda tokens=tokens: ours(model, ids, tokens),
            "transformers": lambda tokens=tokens: peer(theirs, ids, tokens, options.rows),
        }
        if tokens is None:
            contestants["transformers, sorted by length"] = lambda: peer(theirs, by_length, None, options.rows)
        seconds: dict[str, list[float]] = {who: [] for who in contestants}
        texts: dict[str, Texts] = {}
        for _ in range(options.pairs):
            for who, action in contestants.items():
                began = time.process_time()
                texts[who] = action()
                seconds[who].append(time.process_time() - began)
        if tokens is not None:
            same += sum(mine == other for mine, other in zip(texts["inkstone"], texts["transformers"], strict=True))
            total += len(ids)
        for who, times in seconds.items():
            ratios = [other / mine for mine, other in zip(seconds["inkstone"], times, strict=True)]
            faster = None if who == "inkstone" else round(statistics.median(ratios), 2)
            kind = AS_SOURCE if tokens is None else f"{tokens} tokens each"
            rows.append([kind, who, round(len(ids) / statistics.median(times), 1), faster])
            print(*rows[-1], sep="\t", flush=True)
    if same < 0.95 * total:  # rounding may decide between texts that are as likely
        sys.exit(f"only {same} of {total} texts are the peer's")
    write_result(
        options.out,
        question="How many texts a second does an encoder-decoder write with five beams?",
        columns=["texts", "who", "texts a second", "inkstone is faster by"],
        rows=rows,
        notes=[
            f"Marian layout, {weights / 1e6:.1f} M random weights, {len(ids)} sources of {SHORTEST} to {LONGEST} tokens, one "
            f"thread; medians of {options.pairs} rounds in turn",
            f"of {total} texts of equal lengths {same} are the same; the peer reads {options.rows} sources at once",
            "Processor time is what a speed on a machine shared with other work is to be read from.",
        ],
    )


if __name__ == "__main__":
    main()
