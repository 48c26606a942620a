"""Windows of a context and back: every character of an answer comes home, and the best stretch is the best of all."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from inkstone.tasks.answer_windows import Said, said, shrunk, windows
from inkstone.tasks.framing import Frame
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.offsets import placed_tokens
from tasks.test_framing import tokenizer

SEED = "the quick brown fox 敏捷的棕色狐狸跳过懒狗。\r\nIt's 3,000 年\r\n " * 30
OURS = learn_tokenizer([SEED], vocab_size=320)
BERT = tokenizer("bert")
GPT2 = tokenizer("gpt2")
CONTEXTS = st.text(
    st.one_of(st.sampled_from("ab ,.\r\n的狐狸é😀"), st.characters(codec="utf-8")), min_size=1, max_size=80
)


def of(known, question, context, size=24, stride=None, answer=None, answered=True):
    frame = Frame.of(known, size)
    asked, placed = placed_tokens(known, [question, context])
    return windows(frame, asked, placed, (question, context), stride, answer, answered)


@settings(max_examples=150)
@given(context=CONTEXTS, data=st.data(), stride=st.sampled_from([None, 1, 3, 100]))
def test_an_answer_comes_back_by_the_tokens_that_are_its_target(context, data, stride):
    solid = [at for at, character in enumerate(context) if not character.isspace()]
    if not solid:
        return
    start = data.draw(st.sampled_from(solid))
    stop = data.draw(st.sampled_from([at for at in solid if start <= at < start + 12])) + 1
    inputs = of(OURS, "which fox 狐", context, 24, stride, (start, stop))
    seen = np.zeros(len(context), dtype=bool)
    (placed,) = placed_tokens(OURS, [context])
    inside = shrunk(placed, context)
    first, last = np.flatnonzero((inside[:, 1] > start) & (inside[:, 0] < stop) & (inside[:, 1] > inside[:, 0]))[
        [0, -1]
    ]
    held = 0
    for window in inputs:
        assert len(window.ids) <= 24 and len(window.ids) == len(window.types) == len(window.characters)
        for left, right in window.characters:
            seen[left:right] = True
        begin, end = window.target
        if begin == end == len(window.ids) - 1:
            assert window.characters[-1].tolist() == [0, 0]  # the closing token: not here
            continue
        held += 1
        left, right = window.characters[begin, 0], window.characters[end, 1]
        assert left <= start and stop <= right
        assert (left, right) == (inside[first, 0], inside[last, 1])  # no token more than it takes
        assert not context[left].isspace() and not context[right - 1].isspace()
    assert held or last - first >= 6  # an answer longer than the overlap may fit in no window
    assert all(seen[at] for at in solid)


@pytest.mark.parametrize("known", [OURS, BERT, GPT2], ids=["ours", "bert", "gpt2"])
def test_an_input_is_the_pair_and_a_closing_token(known):
    question, context = "a b", "c d e f g h i j a b"
    inputs = of(known, question, context, 20, answer=(4, 5))
    frame = Frame.of(known, 20)
    for window in inputs:
        assert window.ids[: len(frame.pair_before)].tolist() == list(frame.pair_before)
        assert int(window.ids[-1]) == (frame.pair_after[-1] if frame.pair_after else known.end)
    if known is not OURS:
        (window,) = inputs
        spelled = [context[a:b] for a, b in window.characters if b > a]
        assert spelled == context.split()
        assert [context[slice(*window.characters[at])] for at in window.target] == ["e", "e"]
        pair = frame.pair(known.encode(question), known.encode(context))[1]
        assert window.types[: len(pair)].tolist() == pair.tolist()


def test_of_our_models_segment_one_marks_the_question_and_what_it_shares():
    context = "a brown fox and 狐狸跳"
    (window,) = of(OURS, "the Fox 狐狸?", context, 64)
    context_tokens = window.characters[:, 1] > window.characters[:, 0]
    marked = {context[a:b] for (a, b), kind in zip(window.characters, window.types, strict=True) if b > a and kind}
    assert "".join(sorted("".join(marked).replace(" ", ""))) == "".join(sorted("fox狐狸"))
    assert window.types[: int(np.argmax(context_tokens))].all() and window.types[-1] == 0


def test_a_question_takes_half_the_room_at_most():
    for window in of(OURS, "fox " * 50, "brown " * 30, 24):
        assert (window.characters[:, 1] > window.characters[:, 0]).sum() >= 8


def test_what_has_no_answer_is_taught_the_closing_token_and_what_is_not_known_nothing():
    context = "quick brown fox " * 12
    none = of(OURS, "who", context, answer=None, answered=True)
    assert len(none) > 1 and all(window.target.tolist() == [len(window.ids) - 1] * 2 for window in none)
    assert all(window.target is None for window in of(OURS, "who", context, answer=None, answered=False))


def brute_force(first, last, characters, longest):
    """Every pair of tokens, one by one."""
    scores = {}
    for i, (start, stop) in enumerate(characters):
        for j in range(i, len(characters)):
            if stop > start and characters[j][1] > characters[j][0] and characters[j][1] - start <= longest:
                scores[i, j] = first[i] + last[j]
    none = first[-1] + last[-1]
    total = np.log(sum(np.exp(score) for score in scores.values()) + np.exp(none))
    if not scores:
        return Said(0, 0, -np.inf, none - total)
    i, j = max(scores, key=lambda pair: scores[pair])
    return Said(characters[i][0], characters[j][1], scores[i, j] - total, none - total)


@settings(max_examples=100)
@given(seed=st.integers(0, 10**6), longest=st.integers(1, 15))
def test_the_best_stretch_is_the_best_of_all_pairs(seed, longest):
    draw = np.random.default_rng(seed)
    tokens = int(draw.integers(1, 16))
    first, last = draw.normal(0, 3, (2, tokens)).astype(np.float32)
    steps = draw.integers(0, 5, tokens)  # 0: another token of the same character
    ends = np.cumsum(steps) + 1
    characters = np.stack([ends - np.maximum(steps, 1), ends], axis=1)
    characters[draw.random(tokens) < 0.2] = 0
    characters[0] = characters[-1] = 0
    found, wanted = (
        said(first, last, characters, longest),
        brute_force(first.astype(float), last.astype(float), characters, longest),
    )
    assert found.log_p == pytest.approx(wanted.log_p, abs=1e-5)
    assert found.log_none == pytest.approx(wanted.log_none, abs=1e-5)
    assert (found.start, found.stop) == (wanted.start, wanted.stop)


def test_scores_far_apart_do_not_overflow():
    characters = np.array([[0, 0], [0, 1], [1, 2], [0, 0]])
    found = said(np.array([0, 900.0, -900, 0]), np.array([0, 900.0, 0, -5]), characters, 10)
    assert (found.start, found.stop) == (0, 1)
    assert found.log_p == pytest.approx(0, abs=1e-6) and found.log_none == pytest.approx(-1805)


def test_blanks_around_a_token_are_no_part_of_an_answer():
    text = "  ab \r\n 的 "
    (placed,) = placed_tokens(OURS, [text])
    for (left, right), start, stop in zip(shrunk(placed, text), placed.starts, placed.stops, strict=True):
        assert text[left:right] == text[start:stop].strip()
