"""The taggers: features against their definition, the gradient against autograd, folders, and real treebanks."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from inkstone.errors import CheckpointError, RecipeError, RunError, TextError
from inkstone.layers.crf import Transitions, negative_log_likelihood
from inkstone.models.crf_fitting import Corpus
from inkstone.models.crf_tagger import CRFTagger, CRFTaggerSettings, load_tagger, tag, train_tagger
from inkstone.models.hmm_tagger import HMMTagger, HMMTaggerSettings, chain, train_hmm_tagger
from inkstone.models.tag_features import (
    AFTER,
    BEFORE,
    OFFSETS,
    PAIRS,
    Bags,
    FeatureIndex,
    features_at,
    part_of,
    places_of,
)
from inkstone.models.tagger import Tagger
from inkstone.text.conllu import read_conllu

NOUNS, VERBS = ["ink", "stone", "brush", "paper", "Wang", "墨", "砚台"], ["grinds", "makes", "holds", "研", "磨"]


def some_sentences(number: int = 60, seed: int = 0) -> list[tuple[list[str], list[str]]]:
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        words, tags = ["the"], ["DET"]
        for _ in range(draw.integers(1, 4)):
            words += [str(draw.choice(NOUNS)), str(draw.choice(VERBS))]
            tags += ["NOUN", "VERB"]
        made.append(([*words, "."], [*tags, "PUNCT"]))
    return made


SENTENCES = some_sentences()
MAKERS = {"crf": lambda: train_tagger(SENTENCES), "hmm": lambda: train_hmm_tagger(SENTENCES)}


@pytest.fixture(scope="module", params=MAKERS)
def tagger(request) -> Tagger:
    return MAKERS[request.param]()


def plain_features(words: list[str], at: int) -> set[str]:
    """What is found at a place, by going through the templates word by word."""
    line = [BEFORE] * 2 + words + [AFTER] * 2
    found = {name for offset in OFFSETS for name in features_at(line[at + 2 + offset], offset)}
    for number, ((first, kind), (second, other)) in enumerate(PAIRS):
        found.add(f"{number}|{part_of(line[at + 2 + first], kind)}|{part_of(line[at + 2 + second], other)}")
    return found


def test_emissions_are_the_weights_of_the_features_that_are_found():
    model = train_tagger(SENTENCES, CRFTaggerSettings(fewest=2))
    index, words = model.index, ["the", "Ink", "holds", "inkstones", "砚", "。", "."]
    rows = dict(index.rows)
    row = len(index.names)
    for number, keys in enumerate(index.pairs):
        (_, kind), (_, other) = PAIRS[number]
        for key in keys.tolist():
            first, second = divmod(key, len(index.parts[other]) + 1)
            rows[f"{number}|{index.parts[kind][first - 1]}|{index.parts[other][second - 1]}"] = row
            row += 1
    assert row == index.size == len(model.weights)
    got = model.emissions([["."], words])[1:]
    for at in range(len(words)):
        found = [rows[name] for name in plain_features(words, at) if name in rows]
        torch.testing.assert_close(got[at], model.weights[found].sum(0), rtol=1e-4, atol=1e-5)


def test_features_are_those_found_often_enough():
    places = places_of([words for words, _ in SENTENCES[:9]])
    counts: dict[str, int] = {}
    for words, _ in SENTENCES[:9]:
        for at in range(len(words)):
            for name in plain_features(words, at):
                counts[name] = counts.get(name, 0) + 1
    index = FeatureIndex.of(places, 3)
    assert set(index.names) == {name for name, count in counts.items() if count >= 3 and "|" not in name}
    assert index.size == sum(count >= 3 for count in counts.values())


def test_the_gradient_of_a_corpus_is_that_of_autograd():
    words = [words for words, _ in SENTENCES[:5]]
    places, generator = places_of(words), torch.Generator().manual_seed(0)
    index = FeatureIndex.of(places, 1)
    lengths = [len(sentence) for sentence in words]
    corpus = Corpus(places, lengths, torch.zeros(sum(lengths), dtype=torch.int64), index)
    weights = torch.randn(index.size, 3, generator=generator, requires_grad=True)
    outer = torch.randn(sum(lengths), 3, generator=generator)
    model = CRFTagger(
        CRFTaggerSettings(),
        ["a", "b", "c"],
        index,
        weights,
        Transitions(torch.zeros(3), torch.zeros(3, 3), torch.zeros(3)),
    )
    expected = model.emissions(words)
    with torch.no_grad():
        torch.testing.assert_close(corpus.emissions(weights)[corpus.packing.place], expected)
        packed = torch.empty_like(outer)
        packed[corpus.packing.place] = outer
        got = corpus.gradient(packed)
    dense = torch.zeros(sum(lengths), index.size)
    for column in range(index.size):  # row by row, what one feature alone would score
        dense[:, column] = corpus.emissions(torch.eye(index.size)[:, column : column + 1])[corpus.packing.place, 0]
    torch.testing.assert_close(got, dense.T @ outer, rtol=1e-4, atol=1e-5)


def test_training_reaches_the_lowest_penalised_loss():
    """Where the gradient of the loss, by autograd over the padded CRF, is zero."""
    settings = CRFTaggerSettings(ridge=2.0, evaluations=400, tolerance=0.0)
    model = train_tagger(SENTENCES[:20], settings)
    leaves = [model.weights, model.transitions.start, model.transitions.move, model.transitions.end]
    t = Transitions(*[leaf.requires_grad_() for leaf in leaves[1:]])
    model.weights.requires_grad_()
    corpus_words = [words for words, _ in SENTENCES[:20]]
    places = places_of(corpus_words)
    lengths = torch.tensor([len(words) for words in corpus_words])
    corpus = Corpus(places, lengths.tolist(), torch.zeros(int(lengths.sum()), dtype=torch.int64), model.index)
    flat = corpus.emissions(model.weights)[corpus.packing.place]
    padded = torch.nn.utils.rnn.pad_sequence(list(flat.split(lengths.tolist())), batch_first=True)
    gold = [torch.tensor([model.tags.index(tag) for tag in tags]) for _, tags in SENTENCES[:20]]
    gold = torch.nn.utils.rnn.pad_sequence(gold, batch_first=True)
    loss = negative_log_likelihood(padded, t, lengths, gold).sum() + sum(leaf.square().sum() for leaf in leaves)
    emission_gradient, *others = torch.autograd.grad(loss, [flat, *leaves[1:]])
    assert all(gradient.abs().max() < 0.02 for gradient in others)
    packed = torch.empty_like(emission_gradient)
    packed[corpus.packing.place] = emission_gradient
    assert (corpus.gradient(packed) + 2 * model.weights.detach()).abs().max() < 0.02


def test_it_learns_and_tags_new_words(tagger):
    assert isinstance(tagger, Tagger) and tagger.tags == ["DET", "NOUN", "PUNCT", "VERB"]
    words = [words for words, _ in SENTENCES]
    right = [
        a == b
        for got, (_, gold) in zip(tag(tagger, words), SENTENCES, strict=True)
        for a, b in zip(got, gold, strict=True)
    ]
    assert np.mean(right) > 0.97
    assert tagger.tag([["the", "inkpot", "holds", "."]])[0][0] == "DET"


def test_sentences_are_tagged_alike_alone_and_together(tagger):
    words = [words for words, _ in some_sentences(20, seed=5)]
    words[3:3] = [[]]
    together = tagger.tag(words)
    assert together[3] == [] and [len(tags) for tags in together] == [len(sentence) for sentence in words]
    assert together == [tagger.tag([sentence])[0] for sentence in words]
    assert tagger.tag([]) == [] and tagger.tag([[]]) == [[]]


@settings(max_examples=30)
@given(words=st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4))
def test_any_words_get_a_tag(words):
    for model in ANY:
        (tags,) = model.tag([words])
        assert len(tags) == len(words) and set(tags) <= set(model.tags)


ANY = [make() for make in MAKERS.values()]


def test_a_folder_opens_again_with_the_same_tags(tagger, tmp_path):
    tagger.save(tmp_path / "tagger")
    again = load_tagger(tmp_path / "tagger")
    words = [words for words, _ in some_sentences(20, seed=3)]
    assert type(again) is type(tagger) and again.tag(words) == tagger.tag(words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tagger"]


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors"])
def test_a_damaged_folder_is_named(tagger, tmp_path, damage):
    tagger.save(tmp_path / "tagger")
    path = tmp_path / "tagger" / damage
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match="tagger"):
        load_tagger(tmp_path / "tagger")


def test_a_folder_without_a_tagger_is_named(tmp_path):
    with pytest.raises(RunError, match=r"has no config\.json"):
        load_tagger(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "qwen3"}')
    with pytest.raises(RunError, match="'qwen3'"):
        load_tagger(tmp_path)
    for kind in (CRFTagger, HMMTagger):
        with pytest.raises(RunError):
            kind.load(tmp_path)


@pytest.mark.parametrize("train", [train_tagger, train_hmm_tagger])
def test_text_that_teaches_nothing_is_refused(train):
    with pytest.raises(TextError, match="no tagged words"):
        train([([], [])])
    with pytest.raises(TextError, match="2 words but 1 tags in the sentence 'ink stone'"):
        train([(["ink", "stone"], ["NOUN"])])


@pytest.mark.parametrize("wrong", [dict(fewest=0), dict(ridge=-1.0), dict(evaluations=0)])
def test_settings_that_cannot_hold_are_refused(wrong):
    with pytest.raises(RecipeError):
        CRFTaggerSettings(**wrong)
    with pytest.raises(RecipeError):
        HMMTaggerSettings(word_prior=0.0)


def test_the_hmm_counts_as_its_formula_says():
    model = train_hmm_tagger(SENTENCES[:10], HMMTaggerSettings(move_prior=1e-6))
    follows = [pair for _, tags in SENTENCES[:10] for pair in itertools.pairwise([*tags, None])]
    after_verb = [after for before, after in follows if before == "VERB"]
    _, move, end = model.log_moves()
    verb, noun = model.tags.index("VERB"), model.tags.index("NOUN")
    assert float(move[verb, noun].exp()) == pytest.approx(after_verb.count("NOUN") / len(after_verb), rel=1e-3)
    assert float(end[model.tags.index("PUNCT")].exp()) == pytest.approx(1, rel=1e-3)
    share = model.frequency.double().numpy()
    for link, prior in chain("grinds", model.settings):
        counts = model.counts[model.links.index(link)].numpy()
        share = (counts + prior * share) / (counts.sum() + prior)
    expected = np.log(share) - np.log(model.frequency.numpy())
    np.testing.assert_allclose(model.emissions(["grinds"])[0], expected, rtol=1e-4)


def test_bags_are_a_sparse_matrix():
    bags = Bags.of([[0, 2], [], [2, 2, 1]])
    back = bags.transposed(4)
    assert [part.tolist() for part in np.split(back.columns, back.begins[1:])] == [[0], [2], [0, 2, 2], []]


@pytest.mark.slow
@pytest.mark.data
def test_the_english_web_treebank(data_mirror):
    """On its development part; the test part is for the benchmark."""
    train, dev = (
        [(s.forms, s.column("upos")) for s in read_conllu(data_mirror / "ud-en-ewt" / f"en_ewt-ud-{part}.conllu.xz")]
        for part in ("train", "dev")
    )
    for model, least in ((train_hmm_tagger(train), 0.90), (train_tagger(train), 0.949)):
        tagged = model.tag([words for words, _ in dev])
        right = [a == b for got, (_, gold) in zip(tagged, dev, strict=True) for a, b in zip(got, gold, strict=True)]
        assert np.mean(right) >= least
