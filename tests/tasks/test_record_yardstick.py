"""Records without training: values that stand in the text, and those of the most similar text."""

from inkstone.tasks.record_yardstick import KnownValues, MostSimilar, words_of

TEXTS = [
    "Ada sells ink in Rome.",
    "Bo sells paper in Rome.",
    "Ada of Paris was away; Bo sells ink.",
    "Cai van Dam buys 12 stones in 端溪.",
    "Ada buys paper and ink.",
]
RECORDS = [
    {"who": "Ada", "what": ["ink"], "where": "Rome", "act": "sell"},
    {"who": "Bo", "what": ["paper"], "where": "Rome", "act": "sell"},
    {"who": "Bo", "what": ["ink"], "act": "sell"},
    {"who": "Cai van Dam", "what": ["stones"], "where": "端溪", "count": 12, "act": "buy"},
    {"who": "Ada", "what": ["paper", "ink"], "act": "buy"},
]


def test_known_values_are_found_in_the_text():
    known = KnownValues(TEXTS, RECORDS)
    told = known.record("In 端溪 CAI VAN DAM sells 12 sheets of Paper.")
    assert told == {"who": "Cai van Dam", "what": ["paper"], "where": "端溪", "act": "sell", "count": 12}
    assert known.record("Nothing happened.") == {
        "what": [],
        "act": "sell",
    }  # three of five sell; nobody is half of them


def test_a_value_counts_by_how_often_it_is_meant_where_it_stands():
    known = KnownValues(TEXTS, RECORDS)
    assert known.record("Ada met Bo.")["who"] == "Bo"  # 2 of 2 times it stands there, Ada 2 of 3
    never = KnownValues(
        ["Rome is far. Ada rests.", "Rome again.", "Rome.", "Ada in Rome"], [{"at": "Ada"}, {}, {}, {"at": "Rome"}]
    )
    assert never.record("Rome") == {}  # once in four texts


def test_the_record_of_the_most_similar_text():
    known = MostSimilar(TEXTS, RECORDS)
    assert known.record("Who buys 12 stones?") == RECORDS[3]
    assert known.record("砚") == RECORDS[0]


def test_words_are_han_characters_words_and_signs():
    assert words_of("端溪's ink-2") == ("端", "溪", "'", "s", "ink", "-", "2")
