import polars as pl
import pytest

from inkstone.text.characters import count_kinds
from inkstone.text.document import documents
from inkstone.text.language import chinese_script, identify, keep_languages

SAMPLES = {
    "en": "The old man and the boy walked down to the sea with their nets.",
    "de": "Der alte Mann und der Junge gingen mit ihren Netzen zum Meer hinunter.",
    "fr": "Le vieil homme et le garçon descendirent vers la mer avec leurs filets.",
    "es": "El viejo y el muchacho bajaron hasta el mar con sus redes al amanecer.",
    "it": "Il vecchio e il ragazzo scesero verso il mare con le loro reti da pesca.",
    "ru": "Старик и мальчик спустились к морю со своими сетями ранним утром.",
    "zh": "老人和孩子带着渔网走到海边。",
    "ja": "老人と少年は網を持って海へ下りて行った。",
    "ko": "노인과 소년은 그물을 들고 바다로 내려갔다.",
    "el": "Ο γέρος και το αγόρι κατέβηκαν στη θάλασσα.",
    "he": "הזקן והנער ירדו אל הים עם הרשתות שלהם.",
    "th": "ชายชรากับเด็กชายเดินลงไปที่ทะเล",
    "und": "12:30 — 14:00 ★★★",
}


def identified(texts: list[str]) -> pl.DataFrame:
    frame = documents(texts)
    return identify(frame, count_kinds(frame["text"]))


def test_short_samples():
    assert identified(list(SAMPLES.values()))["language"].to_list() == list(SAMPLES)


def test_mixed_text_goes_with_what_carries_more():
    chinese = "我们在 GitHub 上用 Python 写了一个 machine learning 的 package，欢迎大家来试一试。"
    assert identified([chinese])["language"].item() == "zh"
    assert (
        identified(["The Chinese word for ink stone is 砚台, and that is the name of this program."])["language"].item()
        == "en"
    )


def test_the_middle_decides_for_long_texts():
    text = "INHALT\nKAPITEL I\nKAPITEL II\n" * 50 + SAMPLES["en"] * 1000
    assert identified([text])["language"].item() == "en"


def test_a_known_language_stays():
    frame = documents([SAMPLES["en"]]).with_columns(language=pl.lit("sco"))
    assert identify(frame, count_kinds(frame["text"]))["language"].item() == "sco"


def test_other_languages_are_dropped_with_their_name():
    kept = keep_languages(identified(list(SAMPLES.values())), ("zh", "en"))
    reasons = dict(zip(SAMPLES, kept["dropped"], strict=True))
    assert reasons.pop("zh") is None and reasons.pop("en") is None
    assert reasons == {code: f"language: {code}" for code in reasons}


def test_simplified_and_traditional():
    frame = identified(["我们来这里说汉语", "我們來這裡說漢語", "山高月小，水落石出", SAMPLES["en"]])
    assert chinese_script(frame).to_list() == ["Hans", "Hant", None, None]


@pytest.mark.data
def test_english_and_german_sentences(data_mirror):
    import lzma

    for code in ("en", "de"):
        with lzma.open(data_mirror / f"mt-multi30k-en-de/val.{code}.xz", "rt", encoding="utf-8") as file:
            languages = identified(file.read().splitlines())["language"]
        assert (languages == code).mean() > 0.98
