"""What the text VAE promises beyond the contract: bounds that bound, documents in pieces, a KL that is paid, annealing."""

import itertools

import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.layers.gaussian import kl_to_standard_normal
from inkstone.models.text_vae import TextVAE, TextVAESettings
from inkstone.tokens.batches import Batch
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.sentence_ends import DOCUMENT, ENDS
from inkstone.tokens.tokenizer import Tokenizer

TOKENIZER = learn_tokenizer(iter(["ink on stone"] * 20), "byte-bpe", 270)
BODIES = ["lstm", "transformer"]
UNCERTAIN = {"lstm": 0.06, "transformer": 0.3}  # nats: these writers hang on z less and more, and the draws are few


def text_vae(body: str, tokenizer: Tokenizer = TOKENIZER, noise: float = 0.2, **changes) -> TextVAE:
    shape = dict(vocab_size=tokenizer.vocab_size, width=16, n_layers=2, n_heads=2, context=6, latent=4, body=body)
    generator = torch.Generator().manual_seed(0)
    model = TextVAE(TextVAESettings(**{**shape, **changes}), tokenizer).initialise(generator).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # A posterior far from the true one would make bounds of so few draws too uncertain to be held to a figure.
            scale = noise / 5 if name.startswith("posterior") else noise
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    return model


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("body", BODIES)
def test_bounds_are_those_of_the_integral(body):
    """Two units: log p(x) by a fine grid over z, which the ELBO stays below and many draws come up to."""
    model = text_vae(body, latent=2, noise=0.15)
    pieces, _ = model.pieces_of([np.array([1, 2, 3]), np.array([7, 7])])
    axis = torch.linspace(-5, 5, 41)
    grid = torch.cartesian_prod(axis, axis)
    step = float(axis[1] - axis[0])
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(grid).sum(1)
    found = model.bounds(pieces, 500, seeded())
    for at in range(2):
        many = pieces.rows(torch.full((len(grid),), at))
        with torch.no_grad():
            exact = (model._log_likelihood(many, grid) + prior + 2 * np.log(step)).logsumexp(0).item()
        assert found.elbo[at] < exact - 1e-3
        assert found.importance[at] == pytest.approx(exact, abs=UNCERTAIN[body])
        assert found.kl[at] == pytest.approx(
            kl_to_standard_normal(found.mean[at], found.log_variance[at]).sum().item(), abs=1e-5
        )


@pytest.mark.parametrize("body", BODIES)
def test_probabilities_of_all_short_texts_sum_to_one(body):
    """Given z, the texts that end and the texts that go on share one; a vocabulary of three makes them few."""
    model = text_vae(body, vocab_size=3, context=8)
    model.tokenizer = type("Ends", (), {"end": 2, "begin": [2]})()  # pyright: ignore[reportAttributeAccessIssue]
    model.marks = torch.tensor([0, 0, ENDS | DOCUMENT], dtype=torch.uint8)
    z = torch.randn(1, 4, generator=seeded())
    total = 0.0
    with torch.no_grad():
        for length in range(4):
            for text in itertools.product(range(2), repeat=length):
                pieces, _ = model.pieces_of([np.array(text, dtype=np.int64)])
                total += model._log_likelihood(pieces, z).exp().item()
        for text in itertools.product(range(2), repeat=4):  # those that go on after four tokens
            scores, _ = model.step(torch.tensor([[2, *text[:-1]]]), model.start(1, z))
            total += scores[0].gather(1, torch.tensor(text)[:, None]).sum().exp().item()
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("body", BODIES)
def test_step_given_z_is_the_likelihood_given_z(body):
    model = text_vae(body)
    text = np.array([5, 1, 9, 4])
    z = torch.randn(1, 4, generator=seeded())
    pieces, _ = model.pieces_of([text])
    ids = torch.tensor([[TOKENIZER.end, *text]])
    with torch.no_grad():
        scores, _ = model.step(ids, model.start(1, z))
        wanted = torch.tensor([*text, TOKENIZER.end])
        assert scores[0].gather(1, wanted[:, None]).sum().item() == pytest.approx(
            model._log_likelihood(pieces, z).item(), abs=1e-4
        )


@pytest.mark.parametrize("body", BODIES)
def test_the_latent_vector_changes_what_is_said(body):
    model = text_vae(body)
    ids = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8]])
    with torch.no_grad():
        one, _ = model.step(ids, model.start(1, torch.zeros(1, 4)))
        other, _ = model.step(ids, model.start(1, torch.ones(1, 4)))
        fixed, _ = model.step(ids, model.start(1))
        again, _ = model.step(ids, model.start(1))
    assert ((one - other).abs().amax(-1) > 1e-3).all()
    assert torch.equal(fixed, again) and not torch.allclose(fixed, one)


@pytest.mark.parametrize("body", BODIES)
def test_documents_are_scored_alone_and_in_pieces(body):
    """The end is paid for once; a document's pieces add up; its neighbours do not matter."""
    model = text_vae(body, score_draws=300, noise=0.1)
    short, long = np.array([4, 5]), np.array([1, 2, 3, 4, 5, 6, 7, 8])
    pieces, owner = model.pieces_of([short, long])
    assert owner.tolist() == [0, 1, 1] and pieces.valid.sum(1).tolist() == [3, 6, 3]
    assert pieces.targets[0, :3].tolist() == [4, 5, TOKENIZER.end]
    assert pieces.inputs[2, :3].tolist() == [6, 7, 8] and pieces.targets[2, :3].tolist() == [7, 8, TOKENIZER.end]
    together = model.document_nats([short, long], seeded())
    alone = [model.document_nats([document], seeded(1))[0] for document in (short, long)]
    assert together == pytest.approx(alone, abs=2 * UNCERTAIN[body])
    exact_pieces = -model.bounds(pieces, 300, seeded(2)).importance
    assert together == pytest.approx([exact_pieces[0].item(), exact_pieces[1:].sum().item()], abs=2 * UNCERTAIN[body])


def test_more_draws_bound_tighter():
    model = text_vae("lstm", noise=0.5)
    documents = [np.array([at % 50, 3, at % 7]) for at in range(100)]
    one, many = (model.document_nats(documents, seeded(), draws=draws).sum() for draws in (1, 30))
    assert many < one


@pytest.mark.parametrize("body", BODIES)
def test_padding_changes_no_piece(body):
    model = text_vae(body)
    short, long = np.array([4, 5]), np.array([1, 2, 3, 4, 5])
    pieces, _ = model.pieces_of([short, long])
    with torch.no_grad():
        mean, log_variance = model.encode(pieces)
        alone = model.encode(pieces.rows(torch.tensor([0])))
        z = torch.zeros(2, 4)
        told = model._log_likelihood(pieces, z)[0]
        told_alone = model._log_likelihood(pieces.rows(torch.tensor([0])), z[:1])[0]
    torch.testing.assert_close((mean[0], log_variance[0]), (alone[0][0], alone[1][0]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(told, told_alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("body", BODIES)
def test_the_loss_is_the_negative_elbo_a_token(body):
    """Where the weight is one and nothing is free; the mean over draws comes to the bound in closed form."""
    model = text_vae(body, free_bits=0.0, annealing="none")
    batch = packed([[4, 5, 6], [7, 8, 9, 10, 11, 12, 14]])
    pieces, _ = model.pieces_of([np.array([4, 5, 6]), np.array([7, 8, 9, 10, 11, 12, 14])])
    bounds = model.bounds(pieces, 400, seeded())
    with torch.no_grad():
        losses = [model.loss(batch, seeded(seed), 0.0).item() for seed in range(300)]
    assert np.mean(losses) == pytest.approx(-bounds.elbo.sum().item() / batch.targets.numel(), abs=0.06)


def packed(documents: list[list[int]]) -> Batch:
    """One row of documents, as `PackedBatches` gives it."""
    end = TOKENIZER.end
    ids = torch.tensor([[token for document in documents for token in (end, *document)]])
    targets = torch.tensor([[token for document in documents for token in (*document, end)]])
    return Batch(ids, targets, (ids == end).cumsum(1).int())


def test_a_unit_below_its_free_bits_costs_what_is_free():
    free, paid = (text_vae("lstm", free_bits=bits, annealing="none", noise=0.01) for bits in (1.0, 0.0))
    batch = packed([[4, 5, 6]])
    with torch.no_grad():
        difference = free.loss(batch, seeded(), 1.0) - paid.loss(batch, seeded(), 1.0)
        pieces, _ = paid.pieces_of([np.array([4, 5, 6])])
        kl = kl_to_standard_normal(*paid.encode(pieces)).sum().item()
    assert difference.item() == pytest.approx((4 * 1.0 - kl) / 4, abs=1e-4)  # four units, four predictions


def test_word_dropout_blanks_what_the_writer_reads_in_training_alone():
    model = text_vae("lstm", word_dropout=0.999, context=64, piece="window")
    pieces, _ = model.pieces_of([np.arange(60)])
    z = torch.zeros(1, 4)
    with torch.no_grad():
        plain = model.decode(pieces, z, seeded())
        model.train()
        blanked = model.decode(pieces, z, seeded())
        pieces.inputs[:] = 3
        other_words = model.decode(pieces, z, seeded())
    assert not torch.allclose(plain, blanked) and torch.allclose(blanked, other_words)


@pytest.mark.parametrize("body", BODIES)
def test_it_learns_to_say_what_the_vector_tells(body):
    """Four sentences, equally frequent, of one letter each: the vector must tell which, two bits, and the KL stays alive."""
    model = text_vae(body, width=32, n_layers=1, context=6, annealed=0.5, free_bits=1.0, noise=0.0).train()
    documents = [[token] * 4 for token in (10, 20, 30, 40)]
    batch = packed(documents * 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator, steps = seeded(), 400
    for step in range(steps):
        optimizer.zero_grad()
        model.loss(batch, generator, step / steps).backward()
        optimizer.step()
    model.eval()
    pieces, _ = model.pieces_of([np.array(document) for document in documents])
    bounds = model.bounds(pieces, 1, seeded())
    z = torch.randn(2000, 4, generator=seeded(3))
    scores, whole = [], 0.0
    with torch.no_grad():
        for at, document in enumerate(documents):
            first, _ = model.step(torch.tensor([[TOKENIZER.end]]), model.start(1, bounds.mean[at : at + 1]))
            scores.append(first[0, 0, document[0]].exp().item())
            whole += model._log_likelihood(pieces.rows(torch.full((len(z),), at)), z).exp().mean().item()
    assert bounds.kl.mean() > 2 and min(scores) > 0.6  # without the vector it would be a quarter
    assert 0.4 < whole < 1.01  # what the four have of all that the prior writes


def told_in_pieces(model: TextVAE, ids: list[int], ends: set[int], z: torch.Tensor) -> list[torch.Tensor]:
    """The distributions after `end` and each token, from texts that begin anew: a loop over what `step` does at once."""
    piece, told = [TOKENIZER.end], []
    for token in [*ids, None]:
        alone, _ = model.step(torch.tensor([piece]), model.start(1, z))
        told.append(alone[0, -1])
        if token in ends:
            piece = [TOKENIZER.end]
        else:
            piece = [token] if len(piece) == model.settings.context else [*piece, token]
    return told


@pytest.mark.parametrize("body", BODIES)
@torch.no_grad()
def test_each_row_begins_anew_where_its_own_sentence_ends(body):
    """Rows whose sentences end at different places and are longer than the context, in one batch and read in parts."""
    model = text_vae(body, noise=0.3)
    dot, line = TOKENIZER.encode(".")[0], TOKENIZER.encode("\n")[0]
    rows = [[80, 81, dot, 82, 83, line, 84, 85], [80, line, 81, 82, 83, 84, 85, 86], [81] * 8]
    z = torch.randn(3, 4, generator=seeded())
    ids = torch.tensor([[TOKENIZER.end, *row] for row in rows])
    whole, _ = model.step(ids, model.start(3, z))
    state, parts = model.start(3, z), []
    for part in ids.split([3, 1, 5], dim=1):
        scores, state = model.step(part, state)
        parts.append(scores)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)
    for at, row in enumerate(rows):
        expected = torch.stack(told_in_pieces(model, row, {dot, line}, z[at : at + 1]))
        torch.testing.assert_close(whole[at], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("piece", ["sentence", "line", "window"])
@torch.no_grad()
def test_training_scoring_and_writing_cut_alike(body, piece):
    """Given z, the loss over packed rows, the pieces of documents and the chain of `step` come to the same nats."""
    model = text_vae(body, piece=piece, annealing="none", free_bits=0.0, noise=0.3)
    model.posterior.weight.zero_()  # every piece is told by the prior's mean alone, nearly without spread
    model.posterior.bias.zero_()
    model.posterior.bias[4:] = -30.0
    text = "Dr. S. ink! on 3.5 stone.\n\nink on\nstone. on and on and on\n"
    documents = [TOKENIZER.encode(text), TOKENIZER.encode("stone")]
    batch = packed(documents)
    pieces, owner = model.pieces_of([np.array(document) for document in documents])
    zero = torch.zeros(len(pieces), 4)
    told = -model._log_likelihood(pieces, zero)
    kl = kl_to_standard_normal(torch.zeros(4), torch.full((4,), -30.0)).sum()
    assert model.loss(batch, seeded(), 1.0).item() * batch.targets.numel() == pytest.approx(
        told.sum().item() + len(pieces) * kl.item(), rel=1e-4
    )
    for number, document in enumerate(documents):
        scores, _ = model.step(torch.tensor([[TOKENIZER.end, *document]]), model.start(1, zero[:1]))
        wanted = torch.tensor([*document, TOKENIZER.end])
        assert -scores[0].gather(1, wanted[:, None]).sum().item() == pytest.approx(
            told[owner == number].sum().item(), rel=1e-4
        )


def test_pieces_are_sentences():
    model = text_vae("lstm", context=40)
    text = "To S. ink! on 3.5 stone.\n\nink on\nstone"
    pieces, _ = model.pieces_of([np.array(TOKENIZER.encode(text))])
    said = [TOKENIZER.decode(row[valid]) for row, valid in zip(pieces.targets, pieces.valid, strict=True)]
    assert "".join(said) == text
    assert (
        said[:2] == ["To S. ink!", " on 3.5 stone."] and said[-1] == "stone"
    )  # here a letter and a dot are two tokens
    assert (pieces.inputs[:, 0] == TOKENIZER.end).all()


def test_a_section_of_a_document_does_not_pay_for_its_end():
    model = text_vae("lstm", score_draws=200, noise=0.1)
    document = np.array([40, 41, 42])
    pieces, owner = model.pieces_of([document, document], [False, True])
    assert owner.tolist() == [0, 1] and pieces.valid.sum(1).tolist() == [3, 4]
    assert pieces.targets[1].tolist() == [40, 41, 42, TOKENIZER.end] and pieces.targets[0, :3].tolist() == [40, 41, 42]
    cut, whole = model.document_nats([document, document], seeded(), [False, True])
    assert cut == pytest.approx(
        -model.bounds(pieces.rows(torch.tensor([0])), 200, seeded(1)).importance.item(), abs=0.12
    )
    assert whole > cut + 2  # the end of one in 270 tokens


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (dict(latent=0), "latent = 0"),
        (dict(body="transformer", width=18, n_heads=4), "width = 18"),
        (dict(word_dropout=1.0), "word_dropout = 1.0"),
        (dict(free_bits=-0.1), "free_bits = -0.1"),
        (dict(annealed=0.0), "annealed = 0.0"),
        (dict(hidden=0), "hidden = 0"),
    ],
)
def test_impossible_settings_are_refused(changes, named):
    with pytest.raises(RecipeError, match=named):
        TextVAESettings(**{**dict(vocab_size=10, width=16, n_layers=1), **changes})


@pytest.mark.parametrize("body", BODIES)
def test_matrix_parameters_are_those_of_the_model(body):
    """All matrices but those that turn z and the pooled features, which are used once a piece."""
    model = text_vae(body, width=64, noise=0.0)
    counted = [
        weight.numel()
        for name, weight in model.named_parameters()
        if weight.dim() == 2 and not name.startswith(("posterior", "writer.to_"))
    ]
    assert model.settings.matrix_parameters() == sum(counted)
    assert model.settings.flops_per_token() >= 6 * sum(counted)


def test_a_rung_of_the_ladder_with_what_is_given():
    settings = TextVAESettings.of_size(500, 256, 6, body="transformer", latent=8)
    assert (settings.width, settings.n_layers, settings.latent, settings.n_heads) == (256, 6, 8, 4)
    assert TextVAESettings.of_size(500, 96, 6).n_layers == 2
    assert TextVAESettings.of_size(500, 96, 6, n_layers=3, width=32).n_layers == 3
