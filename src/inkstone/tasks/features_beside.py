"""A CRF over feature templates beside the network that tags: the yardstick of all, and, where wanted, a second voice.

What thousands of features found twice tell and what a network reads err on different words; `tag_readings.py` says how both are
asked together. The second voice is the yardstick itself, so that it costs nothing more to learn.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from inkstone.layers.crf import FORBIDDEN, Transitions
from inkstone.models.crf_tagger import CRFTagger
from inkstone.tasks.tag_readings import Reading

FOLDER = "features"  # of the second voice, in the run's folder


class Features:
    """A CRF tagger that speaks of the labels of a task, in their order."""

    def __init__(self, tagger: CRFTagger, labels: Sequence[str]):
        self.tagger = tagger
        place = {tag: at for at, tag in enumerate(tagger.tags)}
        self._columns = torch.tensor([place.get(label, -1) for label in labels])
        t = tagger.transitions
        self.chain = Transitions(self._ordered(t.start), self._ordered(self._ordered(t.move).T).T, self._ordered(t.end))

    def _ordered(self, scores: torch.Tensor) -> torch.Tensor:
        """The last axis in the order of the labels; a label that the tagger does not know is never told."""
        return scores[..., self._columns].masked_fill(self._columns < 0, FORBIDDEN)

    def readings(self, sentences: Sequence[Sequence[str]]) -> list[Reading]:
        """What it says to each sentence of one word at least, not decoded: the scores alone."""
        if not sentences:
            return []
        scores = self._ordered(self.tagger.emissions(sentences))
        parts = scores.split([len(sentence) for sentence in sentences])
        return [Reading(part, [], 0.0, self.chain) for part in parts]

    @classmethod
    def load(cls, folder: Path, labels: Sequence[str]) -> "Features":
        """The one that a run's folder holds. Raises RunError and CheckpointError where it cannot be opened."""
        return cls(CRFTagger.load(folder / FOLDER), labels)
