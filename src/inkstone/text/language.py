"""Which language a text is in: by its script, and for scripts of many languages by its letters' statistics.

Chinese is `zh` whether it is written in simplified or traditional characters; `chinese_script` tells these apart.
"""

import re
from functools import cache

import polars as pl

from inkstone.text.characters import DENSE, SCRIPT_NAMES

SAMPLE = 2000  # characters that the search for English words looks at
SHORT_SAMPLE = 600  # characters that py3langid looks at: its accuracy hardly grows beyond, its time does
UNDETERMINED = "und"  # ISO 639-2, for texts without letters

# Scripts that (nearly) one language writes.
ONE_LANGUAGE = {
    "greek": "el", "armenian": "hy", "hebrew": "he", "gurmukhi": "pa", "gujarati": "gu", "oriya": "or", "tamil": "ta",
    "telugu": "te", "kannada": "kn", "malayalam": "ml", "sinhala": "si", "thai": "th", "lao": "lo", "tibetan": "bo",
    "burmese": "my", "georgian": "ka", "hangul": "ko", "ethiopic": "am", "khmer": "km", "mongolian": "mn", "kana": "ja",
    "han": "zh", "bengali": "bn",
}  # fmt: skip

# Frequent words that English alone has. They are about a fifth of any English prose, and knowing them spares most
# English documents the slower statistics.
_ENGLISH = r"(?-u:\b)(?:the|and|of|that|with|this|which|from|have|they|would|you|your|his|what|there|their|when|who|said)(?-u:\b)"
ENGLISH_SHARE = 0.06  # of the words
ENGLISH_LEAST = 4  # words

CHINESE = ("yue", "wuu", "lzh", "gan", "hak", "nan")  # told apart by ear, hardly in writing: all are zh here
SIMPLIFIED_ONLY = "们这国说时为会来对过还没东见长门问间样现发开经学让谁边车书电话头岁儿买卖"
TRADITIONAL_ONLY = "們這國說時為會來對過還沒東見長門問間樣現發開經學讓誰邊車書電話頭歲兒買賣"


def identify(frame: pl.DataFrame, kinds: pl.DataFrame) -> pl.DataFrame:
    """Fill in the column `language` where it is null, with ISO 639-1 codes (`und` where no letter stands).

    `kinds` are the counts of `characters.count_kinds` for the same rows. Japanese is told from Chinese by its kana;
    Latin, Cyrillic, Arabic and Devanagari text goes to py3langid (Lui and Baldwin 2012, langid.py), all but plain English.
    """
    weighted = [pl.col(name) * (3 if name in DENSE else 1) for name in SCRIPT_NAMES]
    letters = pl.sum_horizontal(SCRIPT_NAMES)
    script = pl.concat_list(weighted).list.arg_max()
    asian = pl.col("han") + pl.col("kana")
    by_script = kinds.select(
        pl.when(letters == 0)
        .then(pl.lit(UNDETERMINED))
        .when((asian * 6 > letters + 2 * asian) & (pl.col("kana") * 20 > asian))
        .then(pl.lit("ja"))
        .otherwise(script.replace_strict({SCRIPT_NAMES.index(k): v for k, v in ONE_LANGUAGE.items()}, default=None))
        .alias("language")
    )["language"]
    language = pl.select(pl.coalesce(frame["language"], by_script)).to_series()
    language = _fill(language, _english(frame["text"], language.is_null()))
    open_rows = (language.is_null() & frame["dropped"].is_null()).arg_true()
    if len(open_rows):
        classify = _classifier()
        samples = frame.select(_sample(SHORT_SAMPLE))["text"].gather(open_rows)
        language = language.clone().scatter(open_rows, [classify(sample) for sample in samples])
    return frame.with_columns(language.alias("language"))


def keep_languages(frame: pl.DataFrame, languages: tuple[str, ...]) -> pl.DataFrame:
    """Drop what is in none of the languages; texts without letters are dropped too."""
    reason = pl.format("language: {}", pl.col("language"))
    wrong = pl.col("dropped").is_null() & ~pl.col("language").is_in(languages)
    return frame.with_columns(pl.when(wrong).then(reason).otherwise(pl.col("dropped")).alias("dropped"))


def chinese_script(frame: pl.DataFrame) -> pl.Series:
    """`Hans` or `Hant` for Chinese rows, by characters that only one of the two scripts has; null where neither wins."""
    sample = pl.col("text").str.head(2000)
    simplified = sample.str.count_matches(f"[{SIMPLIFIED_ONLY}]")
    traditional = sample.str.count_matches(f"[{TRADITIONAL_ONLY}]")
    chinese = pl.col("language") == "zh"
    return frame.select(
        pl.when(chinese & (simplified > traditional))
        .then(pl.lit("Hans"))
        .when(chinese & (traditional > simplified))
        .then(pl.lit("Hant"))
        .alias("script")
    )["script"]


def _english(texts: pl.Series, rows: pl.Series) -> pl.Series:
    """`en` where the most English of words are frequent, null elsewhere."""
    chosen = rows.arg_true()
    sample = pl.DataFrame({"text": texts.gather(chosen)}).select(_sample(SAMPLE).str.to_lowercase())["text"]
    hits = sample.str.count_matches(_ENGLISH)
    words = sample.str.count_matches(" ", literal=True) + sample.str.count_matches("\n", literal=True) + 1
    plain = (hits >= ENGLISH_LEAST) & (hits >= words * ENGLISH_SHARE)
    found = pl.Series([None], dtype=pl.String).new_from_index(0, len(texts))
    return found.scatter(chosen.filter(plain), "en")


def _sample(characters: int) -> pl.Expr:
    """The middle of each text: beginnings hold titles, names and tables of contents."""
    text = pl.col("text")
    # Bytes are counted at once, characters one by one; a third of the bytes lies inside the text in any script.
    return (
        pl.when(text.str.len_bytes() > 8 * characters)
        .then(text.str.slice(text.str.len_bytes() // 6, characters))
        .otherwise(text.str.head(characters))
    )


def _fill(known: pl.Series, more: pl.Series) -> pl.Series:
    return pl.select(pl.coalesce(known, more)).to_series()


@cache
def _classifier():
    import py3langid  # loading its model takes a second, and most corpora never need it

    address = re.compile(r"\S*(?:://|@|www\.)\S*")

    def classify(text: str) -> str:
        code = py3langid.classify(address.sub(" ", text))[0]
        if code == "zxx":  # "no linguistic content"
            return UNDETERMINED
        return "zh" if code in CHINESE else code

    return classify
