"""The Transformer encoder: it reads a text in both directions and fills in what is hidden (BERT, Devlin et al. 2019).

    x₀ = norm(token + place + segment)
    xₗ = norm(y + feed_forward(y)),  y = norm(xₗ₋₁ + attention(xₗ₋₁))          each position sees every other
    p(token at a place | the rest) = softmax(E norm(gelu(W x + c)) + bias)      E: the embedding

Learned from 15 % of the tokens, whole words at a time: 80 % of them are hidden by [MASK], 10 % replaced at random, 10 %
left as they are.

Its likelihood of a text is a pseudo-log-likelihood (Salazar et al. 2020): the sum over tokens of log p(token | all others).
That is no probability of the text: it can be compared between encoders, and stands in a table with other families
only under its name. `step` is an honest distribution of the next token, that of a [MASK] after what was read.

[MASK] is no token of the tokenizer. It is one row more in the embedding, and is never predicted.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.attention import same_document
from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.layers.dropout import dropout
from inkstone.layers.normalisation import LayerNorm
from inkstone.layers.positions import places_in_documents, sinusoids
from inkstone.layers.rotary import KeepsFrequencies, frequencies, rotation
from inkstone.layers.transformer import TransformerBlock
from inkstone.models.decoder import context_for, heads_for
from inkstone.tokens.batches import Batch
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.tokens.whole_words import continues_word, spelled_pieces

MASKED = 0.15  # share of the tokens that are asked for
HIDDEN, REPLACED = 0.8, 0.1  # of these; the others stay
PASS_TOKENS = 8192  # read at once in scoring, which bounds the memory
SCORED = 4096  # tokens asked for in scoring, each a pass over its text; of more, a sample speaks for all
SPREAD = 0.02  # standard deviation of fresh vectors of tokens, places and segments
PADDING = -1  # the number of the document that padding belongs to


@dataclass(frozen=True)
class EncoderSettings:
    """The shape of an encoder.

    The layout "bert" has norms after each part and a vector for each place; "modern", with which new ones begin, has norms
    before each part and rotary positions, and learns more in the same minutes.
    """

    vocab_size: int
    width: int
    n_layers: int
    n_heads: int
    hidden: int  # inner width of the feed-forward network
    context: int  # longest text it reads at once, in tokens
    layout: str = "bert"  # or "modern"
    n_types: int = 2  # segments that can be told apart, such as question and passage
    norm_eps: float = 1e-12
    rotary_theta: float = 10_000.0
    dropout: float = 0.0
    whole_words: bool = True  # hide all tokens of a word, or each by itself
    mask: int | None = None  # the id of [MASK] where it is in the vocabulary; None: a row after it
    closed: bool = False  # an end token stands after every text that is read, as in the published BERT

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name, least in (("vocab_size", 1), ("width", 1), ("n_layers", 1), ("n_heads", 1), ("hidden", 1)):
            if getattr(self, name) < least:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least {least}")
        if self.context < 3:
            raise RecipeError(f"context = {self.context}, but must be at least 3: a token, [MASK], and an end")
        if self.layout not in ("bert", "modern"):
            raise RecipeError(f"layout = {self.layout!r}; an encoder is laid out as 'bert' or 'modern'")
        if self.width % self.n_heads:
            raise RecipeError(f"width = {self.width} is not a multiple of n_heads = {self.n_heads}")
        if self.layout == "modern" and self.width // self.n_heads % 2:
            raise RecipeError(f"heads of width {self.width // self.n_heads}: rotary positions turn pairs; make it even")

    @classmethod
    def of_size(cls, vocab_size: int, width: int, n_layers: int, /, **given: Any) -> "EncoderSettings":
        """The encoder of this width and depth; what is `given` of its fields stands, the rest follows from it."""
        width = given.get("width", width)
        follows = {
            "n_heads": heads_for(width),
            "hidden": 4 * width,
            "context": context_for(width),
            "layout": "modern",
        }
        return cls(**{"vocab_size": vocab_size, "width": width, "n_layers": n_layers, **follows, **given})

    @property
    def mask_id(self) -> int:
        """What [MASK] is written as in ids."""
        return self.vocab_size if self.mask is None else self.mask

    def matrix_parameters(self) -> int:
        """Weights of all matrices, the output one included, the look-up not."""
        block = self.width * (4 * self.width + 2 * self.hidden)
        return self.n_layers * block + self.width * (self.width + self.vocab_size)

    def flops_per_token(self) -> float:
        """Floating-point operations of one training step for each token; the output is for those asked for alone."""
        output = self.width * (self.width + self.vocab_size)
        weights = self.matrix_parameters() - (1 - MASKED) * output
        return 6 * weights + 12 * self.n_layers * self.width * self.context


@dataclass(frozen=True)
class Read:
    """The state of an encoder: the tokens themselves, since each question is put to the whole text."""

    ids: Int[Tensor, "b t"]

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return self.ids.shape[1]

    def select(self, rows: Int[Tensor, " n"]) -> "Read":
        """Keep these rows in this order."""
        return Read(self.ids[rows])


class Encoder(KeepsFrequencies):
    """A masked language model. `encode` gives the states of all positions, `forward` the logits of the token at each."""

    family: ClassVar[str] = "encoder"
    Settings: ClassVar = EncoderSettings
    likelihood: ClassVar[str] = "pseudo-log-likelihood"
    asks_for_tokens: ClassVar[bool] = True  # each token that is scored costs a pass of its own

    def __init__(self, settings: EncoderSettings, tokenizer: Tokenizer):
        super().__init__()
        s = self.settings = settings
        self.tokenizer = tokenizer
        pre_norm = s.layout == "modern"
        self.embedding = nn.Embedding(s.vocab_size + (s.mask is None), s.width)
        self.positions = None if pre_norm else nn.Embedding(s.context, s.width)
        self.types = nn.Embedding(s.n_types, s.width) if s.n_types else None
        self.embedding_norm = LayerNorm(s.width, s.norm_eps)
        shape: dict[str, Any] = dict(pre_norm=pre_norm, norm_eps=s.norm_eps, dropout=s.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(s.width, s.n_heads, s.hidden, activation="gelu", **shape) for _ in range(s.n_layers)
        )
        self.norm = LayerNorm(s.width, s.norm_eps) if pre_norm else None
        self.transform = nn.Linear(s.width, s.width)
        self.transform_norm = LayerNorm(s.width, s.norm_eps)
        self.bias = nn.Parameter(torch.zeros(s.vocab_size))
        omega = frequencies(s.width // s.n_heads, s.rotary_theta)
        self.register_buffer("omega", omega, persistent=False)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "Encoder":
        """Draw fresh weights: matrices with standard deviation 1/√fan-in, those that end a residual branch zero.

        Vectors of places begin as sinusoids, so that how far two tokens stand apart can be told from the first step on.
        """
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                weight.zero_()
            elif weight.dim() == 1:
                weight.fill_(1.0)
            elif name.endswith(("out.weight", "down.weight")):
                weight.zero_()
            elif name.endswith("positions.weight"):
                places = torch.arange(len(weight), device=weight.device)
                weight.copy_(
                    sinusoids(places[None], weight.shape[1])[0, :, : weight.shape[1]] * (math.sqrt(2) * SPREAD)
                )
            elif name.endswith(("embedding.weight", "types.weight")):
                weight.normal_(0, SPREAD, generator=generator)
            else:
                weight.normal_(0, 1 / math.sqrt(weight.shape[1]), generator=generator)
        return self

    def n_parameters(self) -> int:
        """Numbers that training can change; the tied matrix counts once."""
        return sum(weight.numel() for weight in self.parameters())

    def matrices(self) -> Iterator[tuple[str, nn.Parameter, tuple[int, ...]]]:
        """The hidden matrices, each with the numbers of rows of the maps that are stacked in it."""
        for name, weight in self.blocks.named_parameters(prefix="blocks"):
            if weight.dim() == 2:
                yield name, weight, (self.settings.width,) * 3 if "qkv" in name else (weight.shape[0],)

    def encode(
        self,
        ids: Int[Tensor, "b t"],
        document: Int[Tensor, "b t"] | None = None,
        types: Int[Tensor, "b t"] | None = None,
    ) -> Float[Tensor, "b t width"]:
        """The state of each position, which knows all of its document and nothing of another.

        `document` numbers the document of each position (−1: padding), `types` its segment (0 where not given).
        """
        s = self.settings
        x = self.embedding(ids)
        turn = None
        if self.positions is None:
            turn = rotation(self.omega, 0, ids.shape[1])
        else:
            places = places_in_documents(ids, document)
            if ids.shape[1] > s.context and int(places.max()) >= s.context:
                raise RecipeError(
                    f"{int(places.max()) + 1} tokens, but this model has learned positions for {s.context}; "
                    "give it a shorter text"
                )
            x = x + self.positions(places)
        if self.types is not None:
            x = x + self.types(torch.zeros_like(ids) if types is None else types)
        x = self.embedding_norm(x)
        if s.dropout:
            x = dropout(x, s.dropout, self.training)
        visible = None if document is None else same_document(document, document)
        for block in self.blocks:
            x = block(x, turn=turn, visible=visible)
        return x if self.norm is None else self.norm(x)

    def before_output(self, states: Float[Tensor, "*n width"]) -> Float[Tensor, "*n width"]:
        """What the embedding is multiplied with: norm(gelu(W x + c))."""
        return self.transform_norm(F.gelu(self.transform(states)))

    def logits(self, states: Float[Tensor, "*n width"]) -> Float[Tensor, "*n v"]:
        """Scores of the vocabulary at the places of these states."""
        return F.linear(self.before_output(states), self.embedding.weight[: self.settings.vocab_size], self.bias)

    def forward(
        self,
        ids: Int[Tensor, "b t"],
        document: Int[Tensor, "b t"] | None = None,
        types: Int[Tensor, "b t"] | None = None,
    ) -> Float[Tensor, "b t v"]:
        """Logits of the token at each position, given what stands at all of them."""
        return self.logits(self.encode(ids, document, types))

    def loss(self, batch: Batch, generator: torch.Generator | None, progress: float) -> Float[Tensor, ""]:
        """Mean nats of the tokens that `conceal` asks for."""
        ids, document = batch.ids, batch.document
        if document is not None:  # an end token in the last place ends a document; there is none for it to open
            closes = ids[:, -1:] == self.tokenizer.end
            document = torch.cat((document[:, :-1], torch.where(closes, document[:, -2:-1], document[:, -1:])), dim=1)
        shown, asked = self.conceal(ids, document, generator)
        features = self.before_output(self.encode(shown, document)[asked])
        # The bias is a column of the matrix, and its input one, so that the fused loss computes both.
        weight = torch.cat((self.embedding.weight[: self.settings.vocab_size], self.bias[:, None]), dim=1)
        return linear_cross_entropy(torch.cat((features, torch.ones_like(features[:, :1])), 1), weight, ids[asked])

    def conceal(
        self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None, generator: torch.Generator | None
    ) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]:
        """What the encoder is shown of a text, and which tokens it is asked for: whole words, and the last of each row.

        At the end of a row the text is cut at random, so a [MASK] with nothing behind it learns the distribution of the next
        token, the end of a document included. The last token of a document that ends inside the row is never asked for.
        """
        lots = torch.rand(ids.shape, generator=generator).to(ids.device)
        if self.settings.whole_words:
            goes_on = torch.from_numpy(continues_word(ids.cpu().numpy(), self._pieces)).to(ids.device)
            places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
            lots = lots.gather(1, torch.where(goes_on, 0, places).cummax(1).values)  # each token those of its word
        asked = (lots < MASKED) & (ids != self.tokenizer.end)
        if document is not None:
            asked[:, :-1] &= document[:, 1:] == document[:, :-1]
        asked[:, -1] = True
        fate = torch.rand(ids.shape, generator=generator).to(ids.device)
        fate[:, -1] = 0
        noise = torch.randint(self.settings.vocab_size, ids.shape, generator=generator).to(ids.device)
        shown = torch.where(asked & (fate < HIDDEN), self.settings.mask_id, ids)
        return torch.where(asked & (fate >= HIDDEN) & (fate < HIDDEN + REPLACED), noise, shown), asked

    @cached_property
    def _pieces(self) -> list[bytes]:
        return spelled_pieces(self.tokenizer)

    def start(self, batch: int) -> Read:
        """Nothing read."""
        return Read(torch.empty((batch, 0), dtype=torch.long, device=self.bias.device))

    def step(self, ids: Int[Tensor, "b t"], state: Read, last: bool = False) -> tuple[Float[Tensor, "b n v"], Read]:
        """Log-probabilities of the token after each position (`last`: only the final one), and the state.

        Nothing can be kept from one position to the next, since every state changes with what is appended: each position
        costs a pass over all that was read, cut to the last `context` tokens.
        """
        read = Read(torch.cat((state.ids, ids), dim=1))
        first = read.length if last else state.length + 1
        window = self.settings.context - 1 - self.settings.closed
        rows = max(1, PASS_TOKENS // (len(ids) * min(read.length + 2, self.settings.context)))
        parts = []
        for begin in range(first, read.length + 1, rows):
            stops = range(begin, min(begin + rows, read.length + 1))
            texts = [row[max(0, stop - window) : stop] for row in read.ids for stop in stops]
            shown, document = self._laid_out([self._asking_next(text) for text in texts])
            at = torch.tensor([len(text) for text in texts], device=shown.device)
            scores = self.logits(self.encode(shown, document)[torch.arange(len(texts), device=shown.device), at])
            parts.append(scores.float().log_softmax(-1).view(len(ids), len(stops), -1))
        return torch.cat(parts, dim=1), read

    @property
    def tokens_read_for_each(self) -> int:
        """Tokens read to score one."""
        return self.settings.context

    @torch.inference_mode()
    def document_nats(
        self,
        documents: list[Int[np.ndarray, " _"]],
        generator: torch.Generator | None,
        ends: Sequence[bool] | None = None,
        most: int | None = None,
    ) -> Float[np.ndarray, " documents"]:
        """The negative pseudo-log-likelihood of each document in nats, its end token included where it `ends` (by default).

        Each token is hidden by itself, and told from all the others, or in a long document from the `context` tokens around it.
        The end is told from the whole document. Where the documents have more than `most` tokens together (4096), a random
        sample of the same share of each speaks for all, scaled up: without bias, but with the noise of a sample.
        """
        ends = [True] * len(documents) if ends is None else ends
        share = min(1.0, (most or SCORED) / max(1, sum(map(len, documents)) + sum(ends)))
        asked: list[tuple[int, float, int, Tensor]] = []  # document, weight, place of the token asked for, shown text
        answers = []
        for number, (ids, ended) in enumerate(zip(documents, ends, strict=True)):
            before = self.tokenizer.begin[-1] if self.tokenizer.begin else self.tokenizer.end
            text = torch.tensor([before, *ids.tolist(), self.tokenizer.end])
            predictions = len(ids) + ended
            chosen = torch.arange(predictions)
            if share < 1:
                chosen = torch.randperm(predictions, generator=generator)[: math.ceil(share * predictions)]
            for place in (chosen + 1).tolist():
                shown, at = self._around(text, place)
                asked.append((number, predictions / len(chosen), at, shown))
                answers.append(int(text[place]))
        nats = np.zeros(len(documents))
        order = sorted(range(len(asked)), key=lambda i: len(asked[i][3]))
        training = self.training
        self.eval()
        try:
            while order:
                rows = max(1, PASS_TOKENS // len(asked[order[-1]][3]))
                part, order = order[-rows:], order[:-rows]
                shown, document = self._laid_out([asked[i][3] for i in part])
                at = torch.tensor([asked[i][2] for i in part])
                scores = self.logits(self.encode(shown, document)[torch.arange(len(part)), at]).float().cpu()
                told = F.cross_entropy(scores, torch.tensor([answers[i] for i in part]), reduction="none")
                for i, value in zip(part, told.tolist(), strict=True):
                    nats[asked[i][0]] += asked[i][1] * value
        finally:
            self.train(training)
        return nats

    def _around(self, text: Int[Tensor, " n"], place: int) -> tuple[Tensor, int]:
        """The text around one place, which is hidden, and where that place is in it.

        The end token is in view only where it was in training, or where it is what is asked for.
        """
        visible = len(text) - (not self.settings.closed and place < len(text) - 1)
        begin = max(0, min(place - self.settings.context // 2, visible - self.settings.context))
        shown = text[begin : min(begin + self.settings.context, visible)].clone()
        shown[place - begin] = self.settings.mask_id
        return shown, place - begin

    def _asking_next(self, text: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
        after = [self.settings.mask_id] + [self.tokenizer.end] * self.settings.closed
        return torch.cat((text, torch.tensor(after, device=text.device)))

    def _laid_out(self, texts: list[Tensor]) -> tuple[Int[Tensor, "b t"], Int[Tensor, "b t"] | None]:
        """Texts as rows, padded on the right, and the numbers that keep padding out of sight, where there is any."""
        device = self.bias.device
        ids = nn.utils.rnn.pad_sequence(texts, batch_first=True).to(device)
        lengths = torch.tensor([len(text) for text in texts], device=device)
        if int(lengths.min()) == ids.shape[1]:
            return ids, None
        return ids, torch.where(torch.arange(ids.shape[1], device=device) < lengths[:, None], 0, PADDING)
