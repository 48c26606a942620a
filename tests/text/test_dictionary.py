"""What rjieba's dictionary says of Chinese."""

import rjieba

from inkstone.text.dictionary import TAGS, dictionary_positions, dictionary_tags


def test_positions_in_the_dictionarys_words_cover_chinese_alone():
    positions = dictionary_positions("a北京大学，b")
    assert positions[0] == positions[5] == positions[6] == 0
    assert all(position in (1, 2, 3, 4) for position in positions[1:5])
    assert positions[1] in (1, 4) and positions[4] in (3, 4)


def test_a_word_of_the_dictionary_has_its_own_tag():
    words = ["参观", "昨天", "我们", "北京", "高兴"]
    assert [TAGS[number - 1] for number in dictionary_tags(words)] == [rjieba.tag(word)[0][1] for word in words]


def test_a_word_of_several_has_the_tag_of_its_last_part_apart_from_that_of_whole_words():
    (number,) = dictionary_tags(["软件公司"])
    assert len(rjieba.tag("软件公司")) > 1
    assert TAGS[number - len(TAGS) - 1] == rjieba.tag("软件公司")[-1][1]


def test_words_without_chinese_and_blank_ones_have_none():
    assert dictionary_tags(["ink", "12", "。", ""]) == [0, 0, 0, 0]


def test_every_tag_that_the_dictionary_gives_has_a_number():
    text = "昨天我们三个人高兴地在北京大学图书馆参观了，真的很好啊！他把一本红色的书轻轻放下。" * 3
    assert {tag for _, tag in rjieba.tag(text)} <= set(TAGS)
