"""The reader of words: padding changes nothing, words are known whatever their case, what is saved comes back."""

import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.hub.folder import load
from inkstone.hub.headed_layout import save_headed
from inkstone.models.affixes import LONGEST as LONGEST_AFFIX
from inkstone.models.given_words import LONGEST
from inkstone.models.headed import Headed, HeadSettings
from inkstone.models.word_reader import KEPT, WordReader, WordReaderSettings
from inkstone.tokens.example_batches import Encoded, collate
from inkstone.tokens.learning import learn_tokenizer

SENTENCES = (
    "The ink is black and the stone is white",
    "the ink dries on the stone and on the paper of Anna",
    "Paper",
    "a word of counterintuitive-self-referentiality is longer than what is read of it",
)
CHINESE = ("我爱北京天安门", "北京天安门上太阳升", "我爱太阳")
TOKENIZER = learn_tokenizer([*SENTENCES * 9, *CHINESE * 9], "character", 400)


def encoded(words, mark=None, asked=None):
    ids = [np.asarray(each, np.int64) for each in TOKENIZER.encode_batch(list(words))]
    units = np.cumsum([1, *map(len, ids[:-1])])
    marks = None if mark is None else np.full(len(ids), mark)
    focus = None if asked is None else (np.arange(len(ids)) == asked).astype(np.int64)
    return Encoded(np.concatenate([[TOKENIZER.end], *ids]), units=units, marks=marks, focus=focus)


def examples(sentences=SENTENCES):
    return [encoded(sentence if sentence in CHINESE else sentence.split()) for sentence in sentences]


def reader(inputs=None, vectors=None, **shape):
    settings = WordReaderSettings(TOKENIZER.vocab_size, **{"width": 16, "word_width": 8, "filters": 6, **shape})
    body = WordReader(settings, TOKENIZER)
    body.learn_words(inputs or examples(), torch.Generator().manual_seed(0), vectors)
    return body.eval()


@torch.no_grad()
@pytest.mark.parametrize("sentences", [SENTENCES, CHINESE])
def test_a_row_is_read_alike_alone_and_beside_others(sentences):
    inputs = examples(sentences)
    body = reader(inputs)
    together = body.read_units(collate(inputs))
    assert together.shape == (len(inputs), max(len(each.units) for each in inputs), 16)
    for row, each in enumerate(inputs):
        alone = body.read_units(collate([each]))[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_state_knows_the_words_on_both_sides_and_the_characters_of_its_own():
    body = reader()
    plain, first, last, inside = (
        body.read_units(collate([encoded(words.split())]))[0]
        for words in ("the ink is black", "an ink is black", "the ink is Anna", "the ilk is black")
    )
    for changed in (first, last, inside):
        assert (changed - plain).abs().amax(-1).min() > 1e-6


def test_words_seen_twice_are_known_whatever_their_case():
    body = reader()

    def rows(*words):
        known, _ = body._known_as(body._spelled(collate([encoded(words)])))
        return torch.searchsorted(body.word_keys, known).clamp(max=len(body.word_keys) - 1), known

    at, known = rows("the", "THE", "The", "Paper")
    assert len(set(at[:3].tolist())) == 1 and (body.word_keys[at] == known).all()
    at, known = rows("black", "xylophone")  # seen once, never
    assert (body.word_keys[at] != known).all()
    counts = {}
    for word in " ".join(SENTENCES).lower().split():
        counts[word] = counts.get(word, 0) + 1
    assert body.settings.words == sum(count > 1 for count in counts.values())


def test_long_words_are_read_from_both_ends_and_told_apart_by_their_length():
    body = reader()
    words = ["b" + "a" * 30 + "c", "b" + "a" * 31 + "c", "b" * 50_000]
    spelled = body._spelled(collate([encoded(words)]))
    assert spelled.tokens.shape == (3, KEPT) and spelled.size.tolist() == [32, 33, 50_000]
    text = TOKENIZER.decode((spelled.tokens[0] - 1).tolist())
    assert text == "b" + "a" * (KEPT - 2) + "c"
    known, _ = body._known_as(spelled)
    assert len(set(known.tolist())) == 3


def test_different_words_have_different_hashes():
    body = reader()
    generator = np.random.default_rng(0)
    words = list({"".join(generator.choice(list("abcdef"), size)) for size in (1, 2, 3, 8, 19) for _ in range(2000)})
    known, exact = body._known_as(body._spelled(collate([encoded(words)])))
    assert len(set(known.tolist())) == len(set(exact.tolist())) == len(words)


@torch.no_grad()
def test_pairs_of_characters_are_read_where_units_are_characters():
    body = reader(examples(CHINESE))
    assert body.settings.pairs > 0 and reader().settings.pairs == 0
    words = [list(sentence) for sentence in CHINESE]
    pairs = [pair for each in words for pair in zip(["<", *each], [*each, ">"], strict=True)]
    assert body.settings.pairs == sum(pairs.count(pair) > 1 for pair in set(pairs))


@torch.no_grad()
def test_marks_are_read_where_the_examples_carry_them():
    inputs = [encoded(sentence.split(), mark=at) for at, sentence in enumerate(SENTENCES)]
    body = reader(inputs)
    assert body.settings.marks == 3
    one, other, unmarked = (body.read_units(collate([encoded(SENTENCES[0].split(), mark)])) for mark in (1, 2, None))
    assert not torch.allclose(one, other)
    torch.testing.assert_close(unmarked, body.read_units(collate([encoded(SENTENCES[0].split(), 0)])))


def vectors_of(*words, width=20):
    return list(words), np.random.default_rng(0).normal(size=(len(words), width)).astype(np.float32)


def rows_given(body, *words):
    known, _ = body._known_as(body._spelled(collate([encoded(words)])))
    return body.given.rows(known).tolist()


def test_vectors_that_are_given_are_known_whatever_their_case_and_do_not_learn():
    words, vectors = vectors_of("the", "xylophone", "The")
    body = reader(vectors=(words, vectors))
    assert body.settings.words == reader().settings.words and body.settings.given == 2
    rows = rows_given(body, "THE", "xylophone", "ink")
    assert rows[2] == 0 and not body.given.vectors[0].any()
    found = body.given.vectors[rows[:2]].numpy()
    centred = vectors[:2] - vectors[:2].mean(0)
    np.testing.assert_allclose(  # a projection to leading directions keeps angles where these hold everything
        found @ found.T / np.trace(found @ found.T), centred @ centred.T / np.trace(centred @ centred.T), atol=1e-4
    )
    assert not any(name.startswith("given") for name, _ in body.named_parameters())
    before = reader(vectors=vectors_of("the", "ink")).read_units(collate(examples()))
    assert not torch.allclose(before, reader(vectors=vectors_of("the", "ilk")).read_units(collate(examples())))


@torch.no_grad()
def test_words_around_a_character_are_the_longest_that_are_found_there():
    lexicon = ("北京", "京天", "天安门", "天安", "太阳", "阳升", "门我")
    words, vectors = vectors_of(*lexicon, width=8)
    body = reader(examples(CHINESE), (words, vectors))
    batch = collate(examples(CHINESE))
    spelled = body._spelled(batch)
    text = batch.unit_valid.nonzero()[:, 0]
    said = body.given.around(body.lower[spelled.tokens], spelled.size, text)
    width = body.settings.given_width
    assert said.shape == (sum(map(len, CHINESE)), 3 * (width + LONGEST - 1))
    rows = dict(zip(words, (int(r) for r in rows_in(body, words)), strict=True))
    at = 0
    for sentence in CHINESE:
        for place in range(len(sentence)):
            found = {"first": [], "last": [], "inside": []}
            for begin in range(len(sentence)):
                for size in range(2, LONGEST + 1):
                    word = sentence[begin : begin + size]
                    if len(word) == size and word in lexicon and begin <= place < begin + size:
                        last = place == begin + size - 1
                        found["first" if place == begin else "last" if last else "inside"].append(word)
            for number, own in enumerate(found.values()):
                longest = max(own, key=len, default="")
                vector = said[at, number * width : (number + 1) * width]
                torch.testing.assert_close(vector, body.given.vectors[rows.get(longest, 0)])
                length = said[at, 3 * width + number * (LONGEST - 1) :][: LONGEST - 1]
                assert length.tolist() == [float(size == len(longest)) for size in range(2, LONGEST + 1)]
            at += 1


def rows_in(body, words):
    keys = [body._known_as(body._spelled(collate([encoded([word])])))[0] for word in words]
    return body.given.rows(torch.cat(keys))


@torch.no_grad()
def test_affixes_of_words_are_known_where_words_are_longer_than_characters():
    body = reader()
    assert body.settings.affixes > 0 and reader(examples(CHINESE)).affixes is None
    words = [word[-2:] for word in " ".join(SENTENCES).lower().split() if len(word) > 1]
    keys = set(body.affixes.keys.tolist())
    for ending in set(words):
        spelled = body._spelled(collate([encoded([ending])]))
        (key,) = body._affix_keys(spelled)[:, LONGEST_AFFIX + 1].tolist()
        assert (key in keys) == (words.count(ending) > 1)


@torch.no_grad()
def test_what_was_saved_comes_back(tmp_path):
    inputs = [encoded(CHINESE[0], mark=2), encoded(CHINESE[1], mark=1)]
    model = Headed(reader(inputs * 2), HeadSettings("token", ("B", "E", "M", "S"), crf=True))
    model.initialise_head(torch.Generator().manual_seed(0)).eval()
    save_headed(model, tmp_path / "run", {"name": "tag"})
    again = load(tmp_path / "run")
    assert again.body.settings == model.body.settings
    batch = collate(inputs)
    assert torch.equal(again(batch), model(batch))


def test_learning_draws_the_same_from_the_same_seed_and_drops_words_only_then():
    one, other = reader(), reader()
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name
    batch = collate(examples())
    assert torch.equal(one.read_units(batch), one.read_units(batch))
    one.train()
    assert not torch.equal(one.read_units(batch), one.read_units(batch))


@pytest.mark.parametrize("shape", [{"width": 15}, {"kernel": 4}, {"dropout": 1.0}, {"n_layers": 0}])
def test_shapes_that_cannot_be_are_refused(shape):
    with pytest.raises(RecipeError, match=next(iter(shape))):
        WordReaderSettings(300, **shape)


@torch.no_grad()
def test_words_that_are_cut_otherwise_are_other_words_though_their_characters_are_the_same():
    inputs = [encoded(words.split(), asked=1) for words in ("every body ran", "everybody ran", "every body ran")]
    body = reader([*inputs, *inputs])
    for row in (0, 1, 2):
        alone = body.read_units(collate([inputs[row]]))[0]
        torch.testing.assert_close(body.read_units(collate(inputs))[row, : len(alone)], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_reader_that_knows_of_no_word_that_is_asked_about_says_so_and_one_that_does_reads_without():
    words = ["the", "ink", "is", "black"]
    with pytest.raises(RecipeError, match="cannot tell which one is asked about"):
        reader().read_units(collate([encoded(words, asked=1)]))
    assert len(reader().read_units(collate([encoded(words, asked=-1)]))[0]) == 4
    body = reader([encoded(words, asked=1)] * 2)
    none = body.read_units(collate([encoded(words, asked=-1)]))
    torch.testing.assert_close(body.read_units(collate([encoded(words)])), none)
    assert not torch.allclose(body.read_units(collate([encoded(words, asked=1)])), none)


@torch.no_grad()
def test_a_reader_that_learned_for_something_else_can_learn_to_be_asked():
    """What it knew stays; the fresh layers are those that a reader from the start would draw, and come only once."""
    words = SENTENCES[0].split()
    body = reader()
    before = {name: weight.clone() for name, weight in body.state_dict().items()}
    assert body.learn_focus([encoded(words)], torch.Generator().manual_seed(1)) is None and body.seen_from is None
    assert body.learn_focus([encoded(words, asked=1)], torch.Generator().manual_seed(1)) == "2, 192 wide"
    after = body.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items()) and len(after) > len(before)
    assert body.settings.focus == 1
    asked = [body.eval().read_units(collate([encoded(words, asked=at)])) for at in (1, 2)]
    assert not torch.allclose(*asked)
    kept = body.seen_from
    assert body.learn_focus([encoded(words, asked=1)], torch.Generator()) is None and body.seen_from is kept
