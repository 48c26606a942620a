"""The n-gram model: the next token depends on the last n − 1 alone, and its probability is counted, not trained.

How often a sequence came says what follows it; what to do with sequences that never came is the whole art. The default is
interpolated modified Kneser–Ney (Kneser & Ney 1995; Chen & Goodman 1998), the best of its kind; add-k and stupid backoff
stand beside it (`ngram_smoothing`). Counting is in `ngram_counts`, the foreign format ARPA in `hub/arpa.py`.

All that the model is are sorted arrays, three an order, which stay mapped from the file. A token's n-grams are found by one
binary search for each order, many tokens at a time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError, nearest
from inkstone.models.ngram_counts import count_ngrams, find, stream_of
from inkstone.models.ngram_smoothing import Table, add_k, kneser_ney, smoothed, stupid_backoff
from inkstone.tokens.tokenizer import Tokenizer

SMOOTHINGS = ("kneser-ney", "add-k", "stupid-backoff", "foreign")
SCORED_AT_ONCE = 1 << 18  # tokens: their arrays stay in the cache of the processor
LARGE_TEXT = 50_000_000  # tokens from which n-grams that came once cost more memory than they are worth


@dataclass(frozen=True)
class NGramSettings:
    """What is counted, and what is done about the unseen."""

    vocab_size: int
    order: int = 5  # tokens of the longest n-gram; its last is predicted from the others
    smoothing: str = "kneser-ney"  # or "add-k", "stupid-backoff"; "foreign" is what was read from ARPA
    k: float = 0.01  # added to every count, for "add-k"
    backoff: float = 0.4  # the factor of "stupid-backoff"
    min_count: int = 1  # n-grams of order 3 and above that came fewer times are left out

    def __post_init__(self):
        """Refuse what cannot be counted."""
        for name in ("vocab_size", "order", "min_count"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")
        if self.smoothing not in SMOOTHINGS:
            raise RecipeError(f"smoothing = {self.smoothing!r}; {nearest(self.smoothing, SMOOTHINGS)}")
        if not self.k > 0:
            raise RecipeError(f"k = {self.k}, but must be above 0, else unseen tokens would be impossible")
        if not 0 < self.backoff <= 1:
            raise RecipeError(f"backoff = {self.backoff}, but must be above 0 and at most 1")

    @classmethod
    def for_text(cls, vocab_size: int, tokens: int, **given) -> "NGramSettings":
        """The settings for a text of so many tokens; any field can be given."""
        return cls(**{"vocab_size": vocab_size, "min_count": 1 if tokens < LARGE_TEXT else 2, **given})


@dataclass
class NGramState:
    """The n-grams that end at the last token read: one row for each order below the highest, −1 where there is none."""

    rows: np.ndarray  # (order − 1, batch) int64
    length: int = 0

    def select(self, rows: Int[Tensor, " n"]) -> "NGramState":
        """The state with these rows in this order."""
        return NGramState(self.rows[:, rows.cpu().numpy()], self.length)

    def join(self, others: Sequence["NGramState"]) -> "NGramState":
        """These rows and those of others."""
        return NGramState(np.concatenate([state.rows for state in (self, *others)], axis=1), self.length)


class NGram(nn.Module):
    """A language model of counts: `fit` makes it, `start` and `step` obey `LanguageModel`.

    After a begin or end token, a document begins, and nothing before it counts.
    """

    family = "ngram"
    Settings = NGramSettings

    def __init__(self, settings: NGramSettings, tokenizer: Tokenizer):
        super().__init__()
        self.settings = settings
        self.tokenizer = tokenizer
        self.end = tokenizer.end
        self.begin = tokenizer.begin[-1] if tokenizer.begin else tokenizer.end
        none = np.zeros(0, np.float32)
        empty = [Table(np.zeros(0, np.int64), none, none) for _ in range(settings.order)]
        uniform = np.full(settings.vocab_size, -np.log(settings.vocab_size), np.float32)
        empty[0] = Table(np.arange(settings.vocab_size), uniform, np.zeros_like(uniform))
        self._take(empty)

    @classmethod
    def from_tensors(cls, settings: NGramSettings, tokenizer: Tokenizer, tensors: dict[str, Tensor]) -> "NGram":
        """The model of a state_dict; the tensors are used as they lie. Raises RuntimeError for those of another order."""
        model = cls(settings, tokenizer)
        if wrong := tensors.keys() ^ dict(model.named_buffers()).keys():
            raise RuntimeError(f"missing, or of another order: {', '.join(sorted(wrong))}")
        for name, tensor in tensors.items():
            setattr(model, name, tensor)
        return model

    @classmethod
    def from_tables(cls, settings: NGramSettings, tokenizer: Tokenizer, made: list[Table]) -> "NGram":
        """The model of one table an order."""
        model = cls(settings, tokenizer)
        model._take(made)
        return model

    def initialise(self, generator: torch.Generator) -> "NGram":
        """Nothing is drawn: before `fit`, every token is as likely as any other."""
        return self

    @property
    def tables(self) -> list[Table]:
        """The arrays of each order, not copied."""
        return [
            Table(*(getattr(self, f"{part}_{n}").numpy() for part in ("keys", "log_probability", "log_backoff")))
            for n in range(1, self.settings.order + 1)
        ]

    def n_parameters(self) -> int:
        """Numbers that were estimated: probabilities and backoff weights."""
        return sum(buffer.numel() for name, buffer in self.named_buffers() if name.startswith("log"))

    def fit(
        self,
        documents: Iterable[np.ndarray],
        seconds: float | None = None,
        generator: torch.Generator | None = None,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Count and smooth; documents are ids without the end token. Nothing is drawn, and the whole text is counted
        whatever the `seconds`: about a million tokens a second at order 5.

        Raises TextError where there is no text, RecipeError for a model that was counted elsewhere.
        """
        s = self.settings
        if s.smoothing == "foreign":
            raise RecipeError("smoothing = 'foreign' is that of a model read from ARPA, which cannot be counted again")
        stream = stream_of([np.asarray(document) for document in documents], self.begin, self.end)
        levels = count_ngrams(stream, s.order, s.vocab_size, self.begin, self.end, report=report)
        del stream
        report("smoothing")
        possible = np.ones(s.vocab_size)
        if self.begin != self.end:
            possible[self.begin] = 0
        smoothing = {
            "kneser-ney": lambda: kneser_ney(possible),
            "add-k": lambda: add_k(possible, s.k),
            "stupid-backoff": lambda: stupid_backoff(possible, s.backoff),
        }
        self._take(smoothed(levels, smoothing[s.smoothing](), s.min_count))

    def start(self, batch: int) -> NGramState:
        """The state of `batch` rows before anything was read."""
        return NGramState(np.full((self.settings.order - 1, batch), -1, dtype=np.int64))

    def step(
        self, ids: Int[Tensor, "b t"], state: NGramState, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], NGramState]:
        """Log-probabilities of the token after each position (`last`: only the final one), and the state."""
        found = self._found(ids.cpu().numpy(), state.rows)
        contexts = [rows[:, -1:] if last else rows for rows in self._contexts(found)]
        dense = self._distributions([rows.ravel() for rows in contexts], ids.shape[0] * (1 if last else ids.shape[1]))
        rows = np.array([rows[:, -1] for rows in contexts]).reshape(state.rows.shape)
        log_probabilities = torch.from_numpy(dense).to(ids.device).view(len(ids), -1, self.settings.vocab_size)
        return log_probabilities, NGramState(rows, state.length + ids.shape[1])

    def score_documents(self, documents: list[np.ndarray]) -> Float[np.ndarray, " documents"]:
        """Nats of each document, its end included."""
        return np.array([nats.sum() for nats in self.token_nats(documents)])

    def token_nats(self, documents: list[np.ndarray]) -> list[Float[np.ndarray, " n"]]:
        """Nats of each token of each document and of its end: what the chain of `step` gives, without whole distributions."""
        if not documents:
            return []
        stream = stream_of([np.asarray(document) for document in documents], self.begin, self.end).astype(np.int64)
        lengths = np.array([len(document) + 1 for document in documents])
        nats = -self.stream_log_probabilities(stream)
        if self.begin != self.end:
            nats = nats[stream[1:] != self.begin]
        return np.split(nats, np.cumsum(lengths)[:-1])

    def stream_log_probabilities(self, stream: np.ndarray) -> np.ndarray:
        """Log-probability in nats of each token but the first, given those before it in its document.

        stream: ids as `stream_of` lays them out.
        """
        out = np.zeros(len(stream) - 1)
        state = self._contexts(self._found(stream[None, :1], self.start(1).rows))
        for at in range(1, len(stream), SCORED_AT_ONCE):
            words = stream[None, at : at + SCORED_AT_ONCE]
            before = np.array([rows[:, -1] for rows in state]).reshape(self.settings.order - 1, 1)
            found = self._found(words, before)
            state = self._contexts(found)
            contexts = [np.concatenate((b, rows[0, :-1])) for b, rows in zip(before, state, strict=True)]
            out[at - 1 : at - 1 + words.shape[1]] = self._log_probabilities([rows[0] for rows in found], contexts)
        return out

    def _take(self, made: list[Table]) -> None:
        for n, table in enumerate(made, 1):
            self.register_buffer(f"keys_{n}", torch.from_numpy(table.keys))
            self.register_buffer(f"log_probability_{n}", torch.from_numpy(table.log_probability))
            self.register_buffer(f"log_backoff_{n}", torch.from_numpy(table.log_backoff))

    def _found(self, ids: np.ndarray, before: np.ndarray) -> list[np.ndarray]:
        """For each order, the row of the n-gram that ends at each of `ids` (b, t), −1 where there is none.

        before (order − 1, b): the contexts that stand before the first column.
        """
        found = [ids]
        opens = self._opens(ids)
        for n, table in enumerate(self.tables[1:]):
            context = np.concatenate((before[n][:, None], found[n][:, :-1]), axis=1)
            if n:
                context[:, 1:][opens[:, :-1]] = -1
            rows = np.full(ids.shape, -1, dtype=np.int64)
            known = context >= 0
            rows[known] = find(table.keys, context[known] * self.settings.vocab_size + ids[known])
            found.append(rows)
        return found

    def _contexts(self, found: list[np.ndarray]) -> list[np.ndarray]:
        """What of `found` can stand before the next token: after a begin or end token, that token alone."""
        opens = self._opens(found[0])
        return [rows if n == 0 else np.where(opens, -1, rows) for n, rows in enumerate(found[:-1])]

    def _opens(self, ids: np.ndarray) -> np.ndarray:
        return (ids == self.begin) | (ids == self.end)

    def _log_probabilities(self, found: list[np.ndarray], contexts: list[np.ndarray]) -> np.ndarray:
        """Of the tokens whose n-grams were found, each after its contexts; all (t,)."""
        made = self.tables
        total = made[0].log_probability[found[0]]
        for n, context in enumerate(contexts):
            known = np.flatnonzero(context >= 0)
            rows, backoff = found[n + 1][known], made[n].log_backoff[context[known]]
            unseen = total[known] + backoff
            if self.settings.smoothing == "add-k":  # 0 where nothing was seen after the context
                unseen = np.where(backoff < 0, backoff, total[known])
            seen = rows >= 0
            unseen[seen] = made[n + 1].log_probability[rows[seen]]
            total[known] = unseen
        return total

    def _distributions(self, contexts: list[np.ndarray], rows: int) -> np.ndarray:
        """Log-probabilities of every token after each context, (rows, vocabulary).

        One vector for all that was not seen, and over it the words that were, from the shortest context to the longest.
        """
        made, v = self.tables, self.settings.vocab_size
        weights = [np.zeros(rows, np.float32) for _ in contexts]
        for n, context in enumerate(contexts):
            known = context >= 0
            weights[n][known] = made[n].log_backoff[context[known]]
        dense = np.repeat(made[0].log_probability[None], rows, axis=0)
        if self.settings.smoothing == "add-k":
            for n in range(len(contexts)):
                longest = (weights[n] < 0) & ~np.any([w < 0 for w in weights[n + 1 :]] + [np.zeros(rows, bool)], axis=0)
                dense[longest] = np.where(np.isinf(dense[:1]), dense[:1], weights[n][longest, None])
                contexts[n] = np.where(longest, contexts[n], -1)
            weights = [np.zeros(rows, np.float32) for _ in weights]
        elif weights:
            dense += np.sum(weights, axis=0)[:, None]
        for n, context in enumerate(contexts):
            known = np.flatnonzero(context >= 0)
            table = made[n + 1]
            first = np.searchsorted(table.keys, context[known] * v)
            size = np.searchsorted(table.keys, (context[known] + 1) * v) - first
            at = np.arange(size.sum()) + np.repeat(first - np.cumsum(size) + size, size)
            row = np.repeat(known, size)
            rest = np.sum(weights[n + 1 :], axis=0)[row] if n + 1 < len(weights) else np.float32(0)
            dense[row, table.keys[at] - context[row] * v] = table.log_probability[at] + rest
        return dense
