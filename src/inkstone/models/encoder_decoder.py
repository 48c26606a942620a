"""The Transformer of 2017: an encoder reads a source, a decoder writes with it in view (Vaswani et al. 2017).

    memory = encoder(source)
    p(tokenₜ₊₁ | source, token₁ … tokenₜ) = softmax(E decoder(token₁ … tokenₜ; memory))        E: the embedding

In each block of the decoder a second attention puts its queries to the memory; its keys and values are made once a source.
Norms stand before each part or, as published, after it; places are sinusoids, learned, or rotary within each text. (The
attention to the memory knows of no places but those that the states carry.)

Before it has a task it is trained on two in equal parts: spans that were taken out of a text are told from the rest
(`tokens/span_corruption.py`; Raffel et al. 2020), and text is continued from an empty source. By the latter it is a
language model: `step` chains up to an exact likelihood. The empty source is the end token alone. With `copying` what it writes of a
source may be taken from there (`layers/copying.py`); that is learned with a task, and nothing is taken from an empty source.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.attention import inside_documents, same_document
from inkstone.layers.copying import Copied, Copying
from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.layers.dropout import dropout
from inkstone.layers.kv_cache import KeyValueCache
from inkstone.layers.normalisation import LayerNorm
from inkstone.layers.positions import places_in_documents, sinusoids
from inkstone.layers.rotary import KeepsFrequencies, frequencies, rotation
from inkstone.layers.transformer import TransformerBlock
from inkstone.models.encoder_decoder_settings import EncoderDecoderSettings
from inkstone.tokens.batches import Batch
from inkstone.tokens.span_corruption import PADDING, corrupt_spans
from inkstone.tokens.tokenizer import Tokenizer


@dataclass
class Memory:
    """A source as the encoder has read it. `document` numbers the document of each state (−1: padding); None: all one."""

    states: Float[Tensor, "b s width"]
    document: Int[Tensor, "b s"] | None = None
    tokens: Int[Tensor, "b s"] | None = None  # of the source, where they are that

    def rows(self, rows: Int[Tensor, " n"]) -> "Memory":
        """The sources that these rows name, each as often as it is named."""
        parts = (self.states, self.document, self.tokens)
        return Memory(*(None if part is None else part[rows] for part in parts))  # type: ignore[arg-type]


@dataclass
class Written:
    """The state of a decoder: its own keys and values, and those of the memory in each block."""

    cache: KeyValueCache
    memory: list[tuple[Tensor, Tensor]]
    visible: Bool[Tensor, "b 1 s"] | None
    copied: Copied | None = None  # what can be copied of the source

    @property
    def length(self) -> int:
        """Tokens read so far by the decoder."""
        return self.cache.length

    def select(self, rows: Int[Tensor, " n"]) -> "Written":
        """Keep these rows in this order."""
        rows = rows.to(self.memory[0][0].device)
        memory = [(keys.index_select(0, rows), values.index_select(0, rows)) for keys, values in self.memory]
        visible = None if self.visible is None else self.visible[rows]
        copied = None if self.copied is None else self.copied.select(rows)
        return Written(self.cache.select(rows), memory, visible, copied)

    def truncate(self, length: int) -> "Written":
        """Take back what was written after the first `length` tokens."""
        self.cache.truncate(length)
        return self


class EncoderDecoder(KeepsFrequencies):
    """A model of a text given another. `hidden`, `start` and `step` without a memory are those of an empty source."""

    family: ClassVar[str] = "encoder_decoder"
    Settings: ClassVar = EncoderDecoderSettings
    fresh_optimizer: ClassVar[str] = (
        "muon"  # where a task is learned from the start: from few examples it learns far more
    )
    fresh_rate: ClassVar[float] = 4e-3  # of the weights that are no matrices, under Muon

    def __init__(self, settings: EncoderDecoderSettings, tokenizer: Tokenizer):
        super().__init__()
        s = self.settings = settings
        self.tokenizer = tokenizer
        rows, learned, pre_norm = s.vocab_size + s.n_sentinels, s.positions == "learned", s.norm == "pre"
        self.embedding = nn.Embedding(rows, s.width)  # the target's, and the source's where it is shared
        self.source_embedding = None if s.shared else nn.Embedding(rows, s.width)
        self.positions = nn.Embedding(s.context, s.width) if learned else None
        self.source_positions = nn.Embedding(s.context, s.width) if learned else None
        self.embedding_norm = LayerNorm(s.width, s.norm_eps) if s.embedding_norm else None
        self.source_embedding_norm = LayerNorm(s.width, s.norm_eps) if s.embedding_norm else None
        shape: dict[str, Any] = dict(activation=s.activation, pre_norm=pre_norm, norm_eps=s.norm_eps, dropout=s.dropout)
        self.encoder = nn.ModuleList(TransformerBlock(s.width, s.n_heads, s.hidden, **shape) for _ in range(s.n_layers))
        self.source_norm = LayerNorm(s.width, s.norm_eps) if pre_norm else None
        self.decoder = nn.ModuleList(
            TransformerBlock(s.width, s.n_heads, s.hidden, cross=True, **shape) for _ in range(s.decoder_layers)
        )
        self.norm = LayerNorm(s.width, s.norm_eps) if pre_norm else None
        self.head = None if s.tied else nn.Linear(s.width, s.vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(s.vocab_size)) if s.output_bias else None
        self.copying = Copying(s.width) if s.copying else None
        omega = frequencies(s.width // s.n_heads, s.rotary_theta)
        self.register_buffer("omega", omega, persistent=False)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "EncoderDecoder":
        """Draw fresh weights: matrices with standard deviation 1/√fan-in, those that end a residual branch zero.

        Embeddings that are scaled by √width then enter with unit variance, as sinusoids nearly have.
        """
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                weight.zero_()
            elif weight.dim() == 1:
                weight.fill_(1.0)
            elif name.endswith(("out.weight", "down.weight")):
                weight.zero_()
            elif name.endswith("embedding.weight"):
                weight.normal_(0, 1 / math.sqrt(weight.shape[1]) if self.settings.scaled else 0.02, generator=generator)
            elif name.endswith(("positions.weight", "head.weight")):
                weight.normal_(0, 0.02, generator=generator)
            else:
                weight.normal_(0, 1 / math.sqrt(weight.shape[1]), generator=generator)
        if self.copying is not None:
            self.copying.begin(self.settings.vocab_size)
        return self

    @property
    def matrix(self) -> Float[Tensor, "v width"]:
        """The output matrix without a bias."""
        return self.embedding.weight[: self.settings.vocab_size] if self.head is None else self.head.weight

    @property
    def output_weight(self) -> Float[Tensor, "v n"]:
        """The matrix that turns a hidden state into logits. An output bias is its last column."""
        weight = self.matrix
        return weight if self.bias is None else torch.cat((weight, self.bias[:, None]), dim=1)

    @property
    def first(self) -> int:
        """The id that the decoder reads before the first token of a target."""
        return self.tokenizer.end if self.settings.first is None else self.settings.first

    def n_parameters(self) -> int:
        """Numbers that training can change; a tied matrix counts once."""
        return sum(weight.numel() for weight in self.parameters())

    def matrices(self) -> Iterator[tuple[str, nn.Parameter, tuple[int, ...]]]:
        """The hidden matrices, each with the numbers of rows of the maps that are stacked in it."""
        for side in ("encoder", "decoder", *(["copying"] if self.copying is not None else [])):
            for name, weight in getattr(self, side).named_parameters(prefix=side):
                if weight.dim() == 2:
                    maps = 3 if "qkv" in name else 2 if "key_value" in name else 1
                    yield name, weight, (weight.shape[0] // maps,) * maps

    def encode(self, source: Int[Tensor, "b s"], document: Int[Tensor, "b s"] | None = None) -> Memory:
        """Read sources. `document` numbers the document of each position; padding is −1."""
        embedding = self.source_embedding or self.embedding
        x, turn = self._embedded(source, document, 0, embedding, self.source_positions, self.source_embedding_norm)
        visible = None if document is None else same_document(document, document)
        for block in self.encoder:
            x = block(x, turn=turn, visible=visible)
        return Memory(x if self.source_norm is None else self.source_norm(x), document, source)

    def hidden(
        self,
        ids: Int[Tensor, "b t"],
        document: Int[Tensor, "b t"] | None = None,
        memory: Memory | None = None,
    ) -> Float[Tensor, "b t n"]:
        """The decoder's states from which logits are made, those of an empty source without `memory`.

        `document` numbers the document of each position; it sees its own text and its own source.
        """
        state = self.start(len(ids), memory)
        x, turn = self._embedded(ids, document, 0, self.embedding, self.positions, self.embedding_norm)
        memory_visible = None if state.visible is None else state.visible.expand(-1, ids.shape[1], -1)
        if document is not None and memory is not None and memory.document is not None:
            memory_visible = same_document(document, memory.document)
        x = self._decoded(x, turn, None if document is None else inside_documents(document), memory_visible, state)
        return x if self.bias is None else torch.cat((x, torch.ones_like(x[..., :1])), dim=-1)

    def forward(
        self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None = None, memory: Memory | None = None
    ) -> Float[Tensor, "b t v"]:
        """Logits of the token after each position."""
        states = self.hidden(ids, document, memory)
        logits = F.linear(states, self.output_weight)
        if self.copying is None or memory is None or memory.tokens is None:
            return logits
        visible = None
        if memory.document is not None:
            visible = (memory.document != PADDING)[:, None].expand(-1, ids.shape[1], -1)
            visible = visible if document is None else same_document(document, memory.document)
        copied = self.copying.remember(memory.states, memory.tokens)
        return self.copying(logits, states[..., : self.settings.width], ids, copied, visible)

    def start(self, batch: int, memory: Memory | None = None) -> Written:
        """Nothing written yet, to `batch` sources, or to the empty one."""
        if memory is None:
            memory = Memory(self.empty_source().states.expand(batch, -1, -1))  # without tokens: nothing is copied of it
        if len(memory.states) != batch:
            raise ValueError(f"a memory of {len(memory.states)} sources for a batch of {batch}")
        visible = None if memory.document is None else (memory.document != PADDING)[:, None, :]
        remembered = [block.remember(memory.states) for block in self.decoder]  # type: ignore[operator]
        copied = None
        if self.copying is not None and memory.tokens is not None:
            copied = self.copying.remember(memory.states, memory.tokens)
        return Written(KeyValueCache(len(self.decoder), batch), remembered, visible, copied)

    def empty_source(self) -> Memory:
        """The source of which nothing is known: the end token alone."""
        return self.encode(torch.full((1, 1), self.tokenizer.end, device=self.embedding.weight.device))

    def step(
        self, ids: Int[Tensor, "b t"], state: Written, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], Written]:
        """Log-probabilities of the token after each position (`last`: only the final one), and the state."""
        norm = self.embedding_norm
        x, turn = self._embedded(ids, None, state.cache.starts, self.embedding, self.positions, norm)
        visible = None if state.visible is None else state.visible.expand(-1, ids.shape[1], -1)
        x = self._decoded(x, turn, state.cache.visible, visible, state, state.cache)
        state.cache.length += ids.shape[1]
        x, ids = (x[:, -1:], ids[:, -1:]) if last else (x, ids)
        return self.with_copies(self.logits(x), x, ids, state).float().log_softmax(-1), state

    def branch(
        self, ids: Int[Tensor, "b k"], state: Written, place: int, visible: Bool[Tensor, "b k s"]
    ) -> tuple[Float[Tensor, "b k width"], Written]:
        """The decoder's states (see `logits`) after `k` tokens that all stand at one `place` of the target.

        So several texts to one source are written in one row, and share what they have in common: its tokens are the nodes of
        a tree. `visible` says which of the nodes read before each of the new ones goes on from, and that it sees itself.
        """
        rows, k = ids.shape
        x, turn = self._embedded(ids.reshape(-1, 1), None, place, self.embedding, self.positions, self.embedding_norm)
        turn = None if turn is None else (turn[0].expand(k, -1), turn[1].expand(k, -1))
        memory_visible = None if state.visible is None else state.visible.expand(-1, k, -1)
        x = self._decoded(x.view(rows, k, -1), turn, visible, memory_visible, state, state.cache)
        state.cache.length += k
        return x, state

    def logits(self, states: Float[Tensor, "b t width"]) -> Float[Tensor, "b t v"]:
        """Logits of the token after each position from the decoder's states, as `branch` gives them."""
        return F.linear(states, self.matrix, self.bias)

    def with_copies(
        self,
        logits: Float[Tensor, "b t v"],
        states: Float[Tensor, "b t width"],
        read: Int[Tensor, "b t"],
        state: Written,
    ) -> Float[Tensor, "b t v"]:
        """Logits with what can be copied of the source, after the tokens that were `read` last; as they are without `copying`."""
        if self.copying is None or state.copied is None:
            return logits
        visible = None if state.visible is None else state.visible.expand(-1, read.shape[1], -1)
        return self.copying(logits, states, read, state.copied, visible)

    def loss(self, batch: Batch, generator: torch.Generator | None, progress: float) -> Float[Tensor, ""]:
        """Mean nats a predicted token: half of the rows with spans taken out, the others continued from an empty source.

        Of a batch with a single row, chance decides.
        """
        rows = len(batch.ids)
        denoised = rows // 2 if rows > 1 else int(torch.rand((), generator=generator) < 0.5)
        denoised = denoised if self.settings.n_sentinels else 0
        total = torch.zeros((), device=batch.ids.device)
        if denoised:
            document = None if batch.document is None else batch.document[:denoised]
            total = total + denoised / rows * self._denoising_loss(batch.ids[:denoised], document, generator)
        if denoised < rows:
            document = None if batch.document is None else batch.document[denoised:]
            hidden = self.hidden(batch.ids[denoised:], document).flatten(0, 1)
            loss = linear_cross_entropy(hidden, self.output_weight, batch.targets[denoised:].flatten())
            total = total + (rows - denoised) / rows * loss
        return total

    def _denoising_loss(
        self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None, generator: torch.Generator | None
    ) -> Float[Tensor, ""]:
        s, end = self.settings, self.tokenizer.end
        drawn = corrupt_spans(
            ids, document, end=end, first_sentinel=s.vocab_size, n_sentinels=s.n_sentinels, generator=generator
        )
        predicted = drawn.target_document != PADDING
        if not predicted.any():  # a row of nothing but end tokens
            return torch.zeros((), device=ids.device)
        memory = self.encode(drawn.source, drawn.source_document)
        hidden = self.hidden(drawn.read, drawn.target_document, memory)
        return linear_cross_entropy(hidden[predicted], self.output_weight, drawn.targets[predicted])

    def _embedded(
        self,
        ids: Int[Tensor, "b t"],
        document: Int[Tensor, "b t"] | None,
        start: int | Int[Tensor, " b"],
        embedding: nn.Embedding,
        positions: nn.Embedding | None,
        norm: nn.Module | None,
    ) -> tuple[Float[Tensor, "b t width"], tuple[Tensor, Tensor] | None]:
        """What enters the first block, and the turns of rotary positions."""
        s, turn = self.settings, None
        x = embedding(ids) * math.sqrt(s.width) if s.scaled else embedding(ids)
        if s.positions == "rotary":
            turn = rotation(self.omega, start, ids.shape[1])
        else:
            alike = document is None and isinstance(start, int)  # then one row stands for all
            places = places_in_documents(ids[:1] if alike else ids, document, start)
            if positions is None:
                x = x + sinusoids(places, s.width).to(x.dtype)
            else:
                within = isinstance(start, int) and start + ids.shape[1] <= s.context
                if not within and int(places.max()) >= s.context:
                    raise RecipeError(
                        f"{int(places.max()) + 1} tokens, but this model has learned positions for {s.context}; "
                        "give it a shorter text"
                    )
                x = x + positions(places)
        x = x if norm is None else norm(x)
        return dropout(x, s.dropout, self.training), turn

    def _decoded(
        self,
        x: Tensor,
        turn: tuple[Tensor, Tensor] | None,
        visible: Tensor | None,
        memory_visible: Tensor | None,
        state: Written,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "b t width"]:
        for layer, (block, memory) in enumerate(zip(self.decoder, state.memory, strict=True)):
            extend = None if cache is None else partial(cache.extend, layer)
            x = block(
                x, turn=turn, visible=visible, causal=True, extend=extend, memory=memory, memory_visible=memory_visible
            )
        return x if self.norm is None else self.norm(x)
