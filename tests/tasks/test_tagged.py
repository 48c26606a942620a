"""Examples of tagging: schemes found and mended, spans of characters as tags of words, words as tags of characters."""

import pytest
from hypothesis import given, strategies as st

from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.tag_schemes import scheme_faults, tags_of
from inkstone.tasks.tagged import chosen_scheme, example_of, segmented_example, tagged_examples, words_of
from inkstone.tasks.understanding import Understanding
from inkstone.text.tagged_words import TaggedSentence
from inkstone.text.word_cutting import Cutting


def sentence(tags, **rest):
    words = [f"w{at}" for at in range(len(tags))]
    return TaggedSentence("f:1", words, list(tags), places=[f"f:{at}" for at in range(1, len(tags) + 1)], **rest)


def read(tags, scheme):
    notes = Understanding("train", [])
    return [list(e.tags) for e in tagged_examples([sentence(own) for own in tags], scheme, Cutting(), notes)], notes


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "BIOES"])
def test_each_scheme_is_found_and_becomes_bio(scheme):
    spans = [[(0, 2, "A"), (2, 3, "A"), (4, 5, "C")], [(1, 3, "C")], []]
    given_tags = [tags_of(own, 6, scheme) for own in spans]
    assert chosen_scheme("auto", [sentence(tags) for tags in given_tags]) == scheme
    found, notes = read(given_tags, scheme)
    assert found == [tags_of(own, 6, "BIO") for own in spans] and not notes.mended


def test_tags_that_are_none_of_a_scheme():
    assert chosen_scheme("auto", [sentence(["NOUN", "VERB"])]) == "none"
    assert chosen_scheme("auto", [sentence(["O", "O"])]) == "none"
    assert chosen_scheme("none", [sentence(["B-A", "O"])]) == "none"
    assert chosen_scheme("BIO", [sentence(["O", "O"])]) == "BIO"
    with pytest.raises(RecipeError, match=r"task.scheme = 'BOI'; did you mean 'BIO'"):
        chosen_scheme("BOI", [sentence(["O"])])
    with pytest.raises(TextError, match="300 different tags for 300 words"):
        chosen_scheme("auto", [sentence([f"t{at}" for at in range(300)])])


def test_broken_tags_are_mended_by_line_and_foreign_ones_leave_their_sentence_out():
    found, notes = read([["O", "I-A", "I-A", "I-C"], ["B_A", "O"], ["B-A", "O"]], "BIO")
    assert found == [["O", "B-A", "I-A", "B-C"], ["B-A", "O"]]
    assert {reason[:12]: places for reason, places in notes.mended.items()} == {
        "I-A breaks B": ["f:2"],
        "I-C breaks B": ["f:4"],
    }
    assert notes.refused == {"a sentence with 'B_A', which is no tag of BIO": ["f:1"]}


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "E-A", "S-A", "B-C", "I-C"]), min_size=1, max_size=8))
def test_whatever_the_tags_what_is_learned_holds(tags):
    for scheme in ("BIO", "BIOES"):
        found, _ = read([tags], scheme)
        assert all(not scheme_faults(own) for own in found) and len(found[0]) == len(tags)


def test_spans_of_characters_become_tags_of_words_that_are_cut_where_they_must():
    spans = [(0, 4, "PER"), (12, 15, "LOC")]
    given_text = TaggedSentence("f:1", text="Anna went toNew York", spans=spans)
    notes = Understanding("train", [])
    (example,) = tagged_examples([given_text], "BIO", Cutting(), notes)
    assert example.words == ("Anna", "went", "to", "New", "York")
    assert example.tags == ("B-PER", "O", "O", "B-LOC", "O") and example.starts == (0, 5, 10, 12, 16)
    assert sum(map(len, notes.mended.values())) == 1
    (example,) = tagged_examples(
        [TaggedSentence("f:1", text="我在北京", spans=[(2, 4, "LOC")])], "BIO", Cutting("han"), notes
    )
    assert example.tags == ("O", "O", "B-LOC", "I-LOC")


def test_words_stand_in_their_own_text_or_in_one_that_is_made():
    example = example_of(TaggedSentence("f:1", ["do", "n't", "ask"], text="don't ask"))
    assert example.text == "don't ask" and example.starts == (0, 2, 6) and example.given_text
    assert [example.piece(at) for at in range(3)] == ["do", "n't", " ask"]
    example = example_of(TaggedSentence("f:1", ["do", "n't", "ask"], text="something else"))
    assert example.text == "do n't ask"


@given(st.lists(st.text(st.sampled_from("我爱北京ab"), min_size=1, max_size=5), min_size=1, max_size=8))
def test_words_as_tags_of_characters_and_back(words):
    example = segmented_example(TaggedSentence("f:1", words))
    assert not scheme_faults(example.tags, "BIOES")
    assert [example.text[begin:stop] for begin, stop, _ in words_of(example, example.tags)] == words


def test_a_blank_parts_words_whatever_the_tags_say():
    example = segmented_example(TaggedSentence("f:1", ["ab", "cd"]))
    assert example.text == "ab cd"
    assert [example.text[a:b] for a, b, _ in words_of(example, ["B", "M", "M", "E"])] == ["ab", "cd"]
    odd = segmented_example(TaggedSentence("f:1", ["New York"]))
    assert "".join(odd.words) == "NewYork" and len(odd.tags) == 7
