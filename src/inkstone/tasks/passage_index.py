"""An index of passages: what each says in words, and, with a run that gives vectors, what it means.

Two rankings become one by reciprocal rank fusion (Cormack, Clarke, Büttcher 2009), which looks at places and not at scores, so
that nothing need be weighed against each other:

    score(p) = Σ over rankings 1 / (60 + place of p)
"""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from inkstone.errors import RunError, TextError
from inkstone.files import sha256, whole_folder, write_json
from inkstone.hub.download import local_folder
from inkstone.progress import LiveLine
from inkstone.tasks.predict import Predictor
from inkstone.tasks.related_texts import Related
from inkstone.text.bm25 import BM25, best
from inkstone.text.passages import Passage, passages_of
from inkstone.text.reading import read
from inkstone.text.reading_report import ReadingReport

FUSED = 60  # the constant of reciprocal rank fusion
DEEP = 200  # places of each ranking that are fused
AT_ONCE = 512  # passages between two looks at the live line
FORMAT = 1  # of the files of an index


@dataclass(frozen=True)
class Found:
    """A passage by its number, how well it fits, and its place in each ranking."""

    number: int
    score: float
    by_words: int | None
    by_meaning: int | None


class PassageIndex:
    """Passages that can be searched."""

    def __init__(
        self,
        passages: Sequence[Passage],
        words: BM25,
        vectors: Float[np.ndarray, "n width"] | None = None,
        predictor: Predictor | None = None,
    ):
        """`predictor` gave the vectors, and gives those of questions."""
        self.passages, self.words, self.vectors, self.predictor = passages, words, vectors, predictor

    @classmethod
    def of(
        cls,
        text: Sequence[str | Path],
        run: Path | str | None = None,
        kept: Path | str | None = None,
        *,
        device: str = "auto",
        line: LiveLine | None = None,
        report: ReadingReport | None = None,
    ) -> "PassageIndex":
        """The index of files and folders. `run` was tuned for the task embed; `kept`, a folder, keeps the index.

        An index that is kept is used as long as the passages and the run are those it was made of; else it is made anew.
        Raises TextError where there is nothing to read, RunError for a run that gives no vectors and a folder that is no index.
        """
        line = line or LiveLine(quiet=True)
        line.show("reading", force=True)
        lines: dict[str, int] = {}
        own = None if kept is None else Path(kept).resolve()
        frames = read(text, report=report, opens=lambda file: own is None or own not in file.path.resolve().parents)
        passages = [passage for frame in frames for passage in passages_of(frame, lines)]
        if not passages:
            raise TextError(f"{', '.join(map(str, text))}: there is nothing in it but blanks")
        predictor = None if run is None else embedding_run(run, device)
        made_of = {"format": FORMAT, "passages": _digest(passages)}
        if run is not None:
            made_of["run"] = sha256(local_folder(run) / "model.safetensors")
        found = None if kept is None else _load(Path(kept), made_of)
        if found is None:
            line.show(f"counting the words of {len(passages):,} passages", force=True)
            words = BM25.of([passage.text for passage in passages])
            vectors = None if predictor is None else _vectors(predictor, passages, line)
            if kept is not None:
                _save(Path(kept), made_of, words, vectors)
            found = words, vectors
        return cls(passages, *found, predictor)

    def search(self, question: str, most: int = 10) -> list[Found]:
        """The passages that fit best, best first: those that share words with the question or are alike in meaning."""
        by_words = best(self.words.scores(question), max(most, DEEP))
        if self.vectors is None or self.predictor is None:
            scores = self.words.scores(question)
            return [Found(n, float(scores[n]), place, None) for place, n in enumerate(by_words[:most], 1)]
        likeness = self.vectors @ vectors_of(self.predictor, [question])[0]
        order = np.argsort(-likeness, kind="stable")[: max(most, DEEP)].tolist()
        places = [{n: place for place, n in enumerate(ranking, 1)} for ranking in (by_words, order)]
        fused = {n: sum(1 / (FUSED + place[n]) for place in places if n in place) for n in {*by_words, *order}}
        chosen = sorted(fused, key=lambda n: (-fused[n], n))[:most]
        return [Found(n, fused[n], places[0].get(n), places[1].get(n)) for n in chosen]


def embedding_run(run: Path | str, device: str) -> Predictor:
    """The model of a run that was tuned for the task embed. Raises RunError for any other."""
    predictor = Predictor.load(run, device)
    if predictor.task.name != "embed":
        raise RunError(
            f"{run} was tuned for the task {predictor.task.name}, and gives no vectors; tune one by: inkstone tune embed DATA"
        )
    return predictor


def vectors_of(predictor: Predictor, texts: Sequence[str]) -> Float[np.ndarray, "n width"]:
    """The vector of each text."""
    outputs = predictor.outputs([Related("", (text,)) for text in texts])
    return np.stack([vectors[0] for (vectors,) in outputs])


def _vectors(predictor: Predictor, passages: Sequence[Passage], line: LiveLine) -> Float[np.ndarray, "n width"]:
    found = []
    for begin in range(0, len(passages), AT_ONCE):
        line.show(f"giving vectors to passages: {begin:,} of {len(passages):,}")
        found.append(vectors_of(predictor, [passage.text for passage in passages[begin : begin + AT_ONCE]]))
    return np.concatenate(found)


def _digest(passages: Sequence[Passage]) -> str:
    digest = hashlib.sha256()
    for passage in passages:
        digest.update(f"{passage.place}\0{len(passage.text)}\0{passage.text}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _load(folder: Path, made_of: dict) -> tuple[BM25, np.ndarray | None] | None:
    """What an index holds; None where there is none yet, where it is of something else, and where it is damaged."""
    if not folder.exists():
        return None
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - {"index.json", "words.npz", "vectors.npy"}:
        raise RunError(f"{folder} is no index of passages and holds other things; name another folder with --index")
    try:
        if json.loads((folder / "index.json").read_text(encoding="utf-8")) != made_of:
            return None
        words = BM25.load(folder / "words.npz")
        return words, np.load(folder / "vectors.npy", allow_pickle=False) if "run" in made_of else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _save(folder: Path, made_of: dict, words: BM25, vectors: np.ndarray | None) -> None:
    with whole_folder(folder) as part:
        words.save(part / "words.npz")
        if vectors is not None:
            np.save(part / "vectors.npy", vectors)
        write_json(part / "index.json", made_of)
