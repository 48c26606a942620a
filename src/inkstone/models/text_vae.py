"""The text variational autoencoder: a language model that first decides what to say, as a vector, and then says it.

A piece of text x, a sentence or a line of at most `context` tokens, is written given a latent vector z (Bowman et al. 2016):

    p(x) = ∫ p(z) Π p(xₜ | x₁ … xₜ₋₁, z) dz,    p(z) = N(0, I)

The integral has no closed form. An encoder q(z|x) = N(μ(x), diag σ²(x)) gives lower bounds of log p(x):

    ELBO = E_q log p(x|z) − KL(q(z|x) ‖ p(z))                     what is learned by (Kingma & Welling 2014)
    log (1/k) Σ p(x, zᵢ) / q(zᵢ|x)  of k draws                    what is scored by (Burda et al. 2016)

Reader and writer are LSTMs, or Transformers that read z as memory (Optimus, Li et al. 2020). A writer that is good enough
without z learns to ignore it, and the KL falls to zero. Against this: the KL is annealed, counts only above some free bits
(Kingma et al. 2016), words may be kept from the writer, and the reader's features are pooled (Long et al. 2020).

A document is written piece by piece, each with a z of its own: after the end of a sentence or a line as at its beginning, and
given the last token alone where a sentence is longer than `context`. Whether one ends is told from the tokens up to there
(`tokens/sentence_ends.py`), so training, scoring and writing cut alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.layers.gaussian import (
    draw,
    free_bits,
    importance_bound,
    kl_to_standard_normal,
    log_density,
    standard_normal,
)
from inkstone.layers.latent_lstm import LstmReader, LstmWriter
from inkstone.layers.latent_transformer import TransformerReader, TransformerWriter
from inkstone.models.decoder import heads_for
from inkstone.tokens.batches import Batch
from inkstone.tokens.pieces import Pieces, cut_pieces, places_in_pieces
from inkstone.tokens.sentence_ends import marks_of, openings
from inkstone.tokens.tokenizer import Tokenizer

CYCLES = 4  # of cyclical annealing (Fu et al. 2019, section 4)
TOKENS_AT_ONCE = 4096  # of one pass of scoring, draws counted
LOGITS_AT_ONCE = 1 << 22  # 16 MB in single precision


@dataclass(frozen=True)
class TextVAESettings:
    """The shape of a text VAE, and how its KL is kept alive."""

    vocab_size: int
    width: int
    n_layers: int  # of the reader and of the writer each
    context: int = 64  # longest piece in tokens
    piece: Literal["sentence", "line", "window"] = (
        "sentence"  # "window": pieces of `context` tokens, wherever they begin
    )
    body: Literal["lstm", "transformer"] = "lstm"
    latent: int = 32  # numbers in z
    n_heads: int = 4  # of "transformer"
    hidden: int | None = None  # of its feed-forward networks; None for 8/3 of the width
    annealing: Literal["none", "linear", "cyclical"] = "linear"  # how the weight of the KL rises to 1
    annealed: float = 0.3  # share of the run, or of each cycle, in which it rises
    free_bits: float = 0.25  # nats of each unit that cost nothing
    word_dropout: float = 0.0  # share of the writer's inputs that are blanked
    dropout: float = 0.0  # on embeddings and on the last states
    score_draws: int = 16  # draws for each piece when a document is scored

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name in ("vocab_size", "width", "n_layers", "context", "latent", "n_heads", "score_draws"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")
        for name, allowed in (
            ("body", ("lstm", "transformer")),
            ("annealing", ("none", "linear", "cyclical")),
            ("piece", ("sentence", "line", "window")),
        ):
            if getattr(self, name) not in allowed:
                raise RecipeError(f"{name} = {getattr(self, name)!r}, but must be one of {', '.join(allowed)}")
        if self.body == "transformer" and self.width % (2 * self.n_heads):
            raise RecipeError(f"width = {self.width} is not an even multiple of n_heads = {self.n_heads}")
        if self.hidden is not None and self.hidden < 1:
            raise RecipeError(f"hidden = {self.hidden}, but must be at least 1")
        for name in ("word_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 0 and below 1")
        if not 0 < self.annealed <= 1:
            raise RecipeError(f"annealed = {self.annealed}, but must be above 0 and at most 1")
        if self.free_bits < 0:
            raise RecipeError(f"free_bits = {self.free_bits}, but must not be negative")

    @classmethod
    def of_size(cls, vocab_size: int, width: int, n_layers: int, /, **given: Any) -> "TextVAESettings":
        """The text VAE of this width; what is `given` of its fields stands. LSTMs stay at two layers."""
        width, depth = given.pop("width", width), given.pop("n_layers", None)
        if depth is None:
            depth = n_layers if given.get("body") == "transformer" else min(2, n_layers)
        follows = {"n_heads": heads_for(width)}
        return cls(**{"vocab_size": vocab_size, "width": width, "n_layers": depth, **follows, **given})

    @property
    def feed_forward_width(self) -> int:
        """Inner width of the Transformer's feed-forward networks."""
        return self.hidden or 32 * max(1, round(self.width * 8 / 3 / 32))

    def matrix_parameters(self) -> int:
        """Weights that each token is multiplied with: reader, writer, and the output matrix."""
        layer = (
            8 * self.width**2 if self.body == "lstm" else 4 * self.width**2 + 3 * self.width * self.feed_forward_width
        )
        return 2 * self.n_layers * layer + self.vocab_size * self.width

    def flops_per_token(self) -> float:
        """Floating-point operations of one training step for each token: 6 for each weight, and attention.

        The reader attends to the whole piece, the writer to half of it on average.
        """
        attending = 12 * self.n_layers * self.width * 1.5 * self.context if self.body == "transformer" else 0.0
        return 6 * self.matrix_parameters() + attending

    def kl_weight(self, progress: float) -> float:
        """The weight of the KL when `progress` of the run is over: it rises once (Bowman et al. 2016), or in cycles, in each
        of which it begins at zero again (Fu et al. 2019).

        >>> linear = TextVAESettings(9, 8, 1, annealing="linear", annealed=0.5)
        >>> [linear.kl_weight(p) for p in (0.0, 0.25, 0.5, 1.0)]
        [0.0, 0.5, 1.0, 1.0]
        >>> cyclical = TextVAESettings(9, 8, 1, annealing="cyclical", annealed=0.5)
        >>> [cyclical.kl_weight(p) for p in (0.0, 0.0625, 0.2, 0.25, 1.0)]
        [0.0, 0.5, 1.0, 0.0, 1.0]
        """
        if self.annealing == "none":
            return 1.0
        if self.annealing == "cyclical" and progress < 1:
            progress = progress * CYCLES % 1
        return min(1.0, progress / self.annealed)


@dataclass
class TextVAEState:
    """Where a text stands: the latent vector of each row's piece, how far the piece is, what the writer remembers of it."""

    length: int
    given: Float[Tensor, "b z"] | None  # the caller's latent vectors; None: each piece has a fixed draw
    latent: Float[Tensor, "b z"]
    memory: list[Tensor] | None
    before: Tensor  # (b) uint8: of the last token, what `openings` goes on from
    used: Int[Tensor, " b"]  # tokens read of the piece
    pieces: Int[Tensor, " b"]  # begun so far

    def select(self, rows: Int[Tensor, " n"]) -> "TextVAEState":
        """Keep these rows in this order."""
        given = None if self.given is None else self.given[rows]
        memory = None if self.memory is None else [x[rows] for x in self.memory]
        parts = (x[rows] for x in (self.before, self.used, self.pieces))
        return TextVAEState(self.length, given, self.latent[rows], memory, *parts)


@dataclass(frozen=True)
class Bounds:
    """What is known of how likely each piece is, in nats."""

    elbo: Float[Tensor, " n"]  # mean over the draws
    importance: Float[Tensor, " n"]  # importance-weighted bound from the same draws
    kl: Float[Tensor, " n"]  # in closed form
    mean: Float[Tensor, "n z"]
    log_variance: Float[Tensor, "n z"]


class TextVAE(nn.Module):
    """A sentence VAE. `loss` trains it, `document_nats` scores it; `start` and `step` write given one z."""

    family: ClassVar[str] = "text_vae"
    Settings: ClassVar = TextVAESettings
    likelihood: ClassVar[str] = "importance-weighted bound"

    def __init__(self, settings: TextVAESettings, tokenizer: Tokenizer):
        super().__init__()
        s = self.settings = settings
        self.tokenizer = tokenizer
        self.embedding = nn.Embedding(s.vocab_size, s.width)
        if s.body == "lstm":
            self.reader = LstmReader(s.width, s.n_layers)
            self.writer = LstmWriter(s.width, s.n_layers, s.latent)
        else:
            shape = (s.width, s.n_layers, s.n_heads, s.feed_forward_width)
            self.reader = TransformerReader(*shape)
            self.writer = TransformerWriter(*shape, s.latent)
        self.posterior = nn.Linear(s.width, 2 * s.latent)
        self.register_buffer("marks", marks_of(tokenizer, s.piece, s.vocab_size), persistent=False)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "TextVAE":
        """Draw fresh weights: matrices with standard deviation 1/√fan-in, those that end a residual branch zero, the gate by
        which an LSTM forgets open (Jozefowicz et al. 2015), the posterior near the prior.
        """
        for name, weight in self.named_parameters():
            if ".bias" in name or name.endswith("bias"):
                weight.zero_()
                if ".bias_ih" in name:
                    weight[self.settings.width : 2 * self.settings.width] = (
                        1.0  # gates stand as input, forget, cell, output
                    )
            elif weight.dim() == 1:
                weight.fill_(1.0)
            elif name.endswith(("out.weight", "down.weight")):
                weight.zero_()
            elif name == "embedding.weight":
                weight.normal_(0, 0.05, generator=generator)
            else:
                # A Transformer's features are normalised, hence large from the first step; an LSTM's begin small.
                scale = 0.1 if name == "posterior.weight" and self.settings.body == "transformer" else 1.0
                weight.normal_(0, scale / math.sqrt(weight.shape[1]), generator=generator)
        return self

    @property
    def output_weight(self) -> Float[Tensor, "v width"]:
        """The matrix that turns a writer's state into logits: the embedding."""
        return self.embedding.weight

    @property
    def piece_ends(self) -> UInt8[Tensor, " v"]:
        """What each token means for the end of a piece."""
        return self.marks  # type: ignore[return-value]

    def n_parameters(self) -> int:
        """Numbers that training can change; the tied matrix counts once."""
        return sum(weight.numel() for weight in self.parameters())

    def encode(self, pieces: Pieces) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]:
        """Mean and logarithm of the variance of q(z|x) of each piece, from the largest of each feature along it."""
        features = self.reader(self._drop(self.embedding(pieces.targets)), pieces.valid)
        pooled = features.masked_fill(~pieces.valid[..., None], -torch.inf).amax(1)
        mean, log_variance = self.posterior(pooled).chunk(2, dim=-1)
        return mean, log_variance

    def decode(
        self, pieces: Pieces, z: Float[Tensor, "n z"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "n t width"]:
        """The writer's states at every position, given z; in training some words are kept from it."""
        x = self.embedding(pieces.inputs)
        share = self.settings.word_dropout
        if self.training and share:
            device = x.device if generator is None else generator.device
            kept = torch.rand(x.shape[:2], generator=generator, device=device) >= share
            x = x * kept.to(x)[..., None]
        return self._drop(self.writer(self._drop(x), z, None)[0])

    def loss(self, batch: Batch, generator: torch.Generator | None, progress: float) -> Float[Tensor, ""]:
        """Nats for each predicted token: reconstruction, and the KL with its weight of the moment and its free bits.

        It is −ELBO / tokens only where the weight has come to 1 and every unit is above its free bits.
        """
        pieces = self.cut(batch.ids, batch.targets, batch.document)
        mean, log_variance = self.encode(pieces)
        states = self.decode(pieces, draw(mean, log_variance, generator), generator)
        told = linear_cross_entropy(states[pieces.valid], self.output_weight, pieces.targets[pieces.valid])
        kl = free_bits(kl_to_standard_normal(mean, log_variance).float(), self.settings.free_bits)
        return told + self.settings.kl_weight(progress) * kl * (len(pieces) / batch.targets.numel())

    def cut(self, ids: Int[Tensor, "b t"], targets: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None) -> Pieces:
        """The pieces of rows of packed documents."""
        opens, _ = openings(ids, self.piece_ends)
        return cut_pieces(ids, targets, document, self.settings.context, opens, self.tokenizer.end)

    @torch.no_grad()
    def bounds(self, pieces: Pieces, draws: int, generator: torch.Generator | None) -> Bounds:
        """Both bounds of log p of each piece, from so many draws of z."""
        mean, log_variance = self.encode(pieces)
        kl = kl_to_standard_normal(mean, log_variance).sum(-1)
        noise = standard_normal((draws, *mean.shape), generator, mean)
        z = mean + (log_variance / 2).exp() * noise
        zero = torch.zeros((), dtype=mean.dtype, device=mean.device)
        told, together = [], max(1, TOKENS_AT_ONCE // pieces.inputs.numel())
        for some in z.split(together):
            many = pieces.rows(torch.arange(len(pieces), device=z.device).repeat(len(some)))
            told.append(self._log_likelihood(many, some.flatten(0, 1)).view(len(some), -1))
        told = torch.cat(told)
        # p(z) / q(z|x), both normal
        ratio = log_density(z, zero.expand_as(mean), zero.expand_as(mean)) - log_density(z, mean, log_variance)
        return Bounds(told.mean(0) - kl, importance_bound(told + ratio), kl, mean, log_variance)

    @property
    def tokens_read_for_each(self) -> int:
        """Tokens read to score one: each piece is told from every draw of z."""
        return self.settings.score_draws

    def document_nats(
        self,
        documents: Sequence[np.ndarray],
        generator: torch.Generator | None,
        ends: Sequence[bool] | None = None,
        draws: int | None = None,
        most: int | None = None,
    ) -> Float[np.ndarray, " documents"]:
        """An upper bound of −log p of each document, its end token included: the sum of those of its pieces.

        documents: arrays of ids without the end token; ends: whether each ends there, True by default; draws: of z for each
        piece, `score_draws` by default. Every piece is scored, whatever `most`.
        """
        if not documents:
            return np.zeros(0)
        draws, longest = draws or self.settings.score_draws, self.settings.context
        pieces, owner = self.pieces_of(documents, ends)
        order = pieces.valid.sum(1).argsort(descending=True, stable=True)  # pieces of like length waste little
        nats = np.zeros(len(documents))
        training = self.training
        self.eval()
        for rows in order.split(max(1, TOKENS_AT_ONCE // longest)):
            found = self.bounds(pieces.rows(rows), draws, generator)
            np.add.at(nats, owner[rows].cpu().numpy(), -found.importance.double().cpu().numpy())
        self.train(training)
        return nats

    def pieces_of(
        self, documents: Sequence[np.ndarray], ends: Sequence[bool] | None = None
    ) -> tuple[Pieces, Int[Tensor, " n"]]:
        """The pieces of documents (ids without the end token), and the number of the document that each belongs to.

        ends: whether each document ends there and so has an end token to be predicted; True by default.
        """
        device, end = self.embedding.weight.device, self.tokenizer.end
        before = (self.tokenizer.begin or [end])[-1]
        inputs, targets = [], []
        for text, ended in zip(documents, ends or [True] * len(documents), strict=True):
            whole = np.array([before, *text.tolist(), *[end] * ended], dtype=np.int64)
            inputs.append(whole[:-1])
            targets.append(whole[1:])
        lengths = torch.tensor([len(part) for part in targets])
        document = torch.repeat_interleave(torch.arange(len(targets)), lengths)
        ids, wanted = (torch.from_numpy(np.concatenate(parts)) for parts in (inputs, targets))
        pieces = self.cut(ids.to(device)[None], wanted.to(device)[None], document.to(device)[None])
        return pieces, pieces.document

    def start(self, batch: int, latent: Float[Tensor, "b z"] | None = None) -> TextVAEState:
        """Nothing read yet, and what to say decided: `latent`, one row each, holds for the whole text.

        Without it every piece has a draw from the prior that is always the same one, for all rows. (The prior's mean would
        be no sentence's place: the draws of N(0, I) lie at a distance of about √latent from it.)
        """
        weight = self.embedding.weight
        none = torch.zeros(batch, dtype=torch.long, device=weight.device)
        z = weight.new_zeros((batch, self.settings.latent))
        return TextVAEState(0, latent, z, None, none.to(torch.uint8), none, none)

    def step(
        self, ids: Int[Tensor, "b t"], state: TextVAEState, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], TextVAEState]:
        """Log-probabilities of the token after each position given z, and the state. New pieces begin as in training, each
        row's where its sentences end: the writer then remembers nothing, or in a long sentence the last token alone.
        """
        opens, state.before = openings(ids, self.piece_ends, state.before)
        place = places_in_pieces(opens, self.settings.context, state.used)
        begins, parts = place == 0, []
        x = self.embedding(ids.masked_fill(opens, self.tokenizer.end))
        cuts = [0, *(begins[:, 1:].any(0).nonzero()[:, 0] + 1).tolist(), ids.shape[1]]
        for at, stop in pairwise(cuts):
            if bool(begins[:, at].any()):
                self._begin_pieces(begins[:, at], state)
            hidden, state.memory = self.writer(x[:, at:stop], state.latent, state.memory)
            parts.append(hidden)
        state.length, state.used = state.length + ids.shape[1], place[:, -1] + 1
        hidden = torch.cat(parts, dim=1) if not last else parts[-1][:, -1:]
        return F.linear(hidden, self.output_weight).float().log_softmax(-1), state

    def ends_piece(self, ids: Int[Tensor, " b"], state: TextVAEState) -> Bool[Tensor, " b"]:
        """Whether each token, read next, would be the last of its piece: of a sentence, a line, or a document."""
        return openings(ids[:, None], self.piece_ends, state.before)[0][:, 0]

    def _begin_pieces(self, rows: Bool[Tensor, " b"], state: TextVAEState) -> None:
        """New latent vectors and an empty memory for these rows."""
        if state.given is not None:
            z = state.given.to(state.latent)
        else:
            z = torch.cat([self._fixed_draw(number) for number in state.pieces.tolist()])
        state.latent = torch.where(rows[:, None], z, state.latent)
        state.pieces = state.pieces + rows
        if state.memory is None or bool(rows.all()):
            state.memory = self.writer.begin(state.latent)
        else:
            state.memory = self.writer.restart(state.memory, rows, z)

    def _fixed_draw(self, number: int) -> Float[Tensor, "1 z"]:
        generator = torch.Generator().manual_seed(number)
        return standard_normal((1, self.settings.latent), generator, self.embedding.weight)

    def _log_likelihood(self, pieces: Pieces, z: Float[Tensor, "n z"]) -> Float[Tensor, " n"]:
        """log p(x|z) of each piece."""
        states, targets = self.decode(pieces, z).flatten(0, 1), pieces.targets.flatten()
        chunk = max(64, LOGITS_AT_ONCE // self.settings.vocab_size)
        nats = [
            F.cross_entropy(F.linear(rows, self.output_weight).float(), wanted, reduction="none")
            for rows, wanted in zip(states.split(chunk), targets.split(chunk), strict=True)
        ]
        return -(torch.cat(nats).view(pieces.targets.shape) * pieces.valid).sum(1)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.settings.dropout, self.training) if self.settings.dropout else x
