"""Words by Unicode's own rules (checked against a second implementation of them) and by rjieba."""

import rjieba
from hypothesis import given, strategies as st

from inkstone.text.stop_words import STOP_WORDS, is_stop_word, stop_words
from inkstone.text.words import lemmas, sentences, words

TEXTS = st.text(alphabet=st.sampled_from("aB é9.'’_-,:\n\t@我来到北京之あア한ไ👍🏽\u0301\u200d"), max_size=40)


def test_mixed_scripts_are_taken_apart_by_runs():
    text = "我们买了iPhone12手机，花了3,500元 (约US$480)。한국어 naïve café\u0301"
    assert words(text) == [
        *["我们", "买", "了", "iPhone12", "手机", "花", "了", "3,500", "元", "约", "US", "480"],
        *["한국어", "naïve", "café\u0301"],
    ]


def test_underscores_and_emoji_alone_are_no_words():
    assert words("___ _a_ 👍🏽 … ©") == ["_a_"]
    assert words("") == []


def test_japanese_gets_no_chinese_segmentation():
    assert words("東京大学", "ja") == ["東", "京", "大", "学"]


@given(TEXTS)
def test_all_letters_and_digits_are_in_words_in_order(text: str):
    joined = "".join(words(text))
    kept = [character for character in joined if character.isalnum()]
    assert kept == [character for character in text if character.isalnum()]


@given(st.text(alphabet="我来到北京清华大学他说", min_size=1, max_size=20))
def test_a_chinese_run_is_what_rjieba_says(text: str):
    assert words(text) == list(rjieba.cut(text))


@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str):
    for word in words(text):
        assert word in text
    for sentence in sentences(text):
        assert sentence == sentence.strip() and sentence


def test_sentences_know_abbreviations_and_wrapped_lines():
    assert sentences("Dr. Smith came\nback. “Why?” she asked.\n\nChapter II") == [
        *["Dr. Smith came\nback.", "“Why?” she asked.", "Chapter II"],
    ]
    assert sentences("床前明月光\n疑是地上霜") == ["床前明月光", "疑是地上霜"]
    assert sentences("Am 3. Mai z.B. war es. Gut.", "de") == ["Am 3. Mai z.B. war es.", "Gut."]


def test_stop_words_are_function_words_of_the_language():
    assert is_stop_word("The") and is_stop_word("THE", "en") and not is_stop_word("the", "zh")
    assert stop_words("fr") == frozenset()
    assert all(word == word.lower() for group in STOP_WORDS.values() for word in group)
    assert not {"system", "world", "man"} & stop_words("en")


def test_lemmas_of_languages_with_and_without_a_table():
    assert lemmas(["Häuser"], "de") == ["Haus"]
    assert lemmas(["跑步", "mice"], "zh") == ["跑步", "mice"]
