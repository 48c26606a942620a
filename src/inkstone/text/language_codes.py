"""What people call languages, in names of files and columns, as ISO 639-1 codes: `eng`, `en-US`, `English`, `英文` are `en`."""

import re

# code, three-letter codes (ISO 639-2 and -3), names
_NAMES = """
af afr afrikaans | ar ara arabic 阿拉伯语 阿拉伯文 | be bel belarusian | bg bul bulgarian | bn ben bengali | ca cat catalan
cs ces cze czech | cy cym wel welsh | da dan danish | de deu ger german deutsch 德语 德文 | el ell gre greek
en eng english 英语 英文 英語 | eo epo esperanto | es spa spanish español 西班牙语 | et est estonian | eu eus baq basque
fa fas per persian farsi | fi fin finnish | fr fra fre french français 法语 法文 法語 | ga gle irish | gl glg galician
he heb hebrew | hi hin hindi | hr hrv croatian | hu hun hungarian | hy hye arm armenian | id ind indonesian | is isl ice icelandic
it ita italian italiano 意大利语 | ja jpn japanese 日语 日文 日語 | ka kat geo georgian | kk kaz kazakh | km khm khmer
ko kor korean 韩语 韩文 韓語 | la lat latin | lt lit lithuanian | lv lav latvian | mk mkd mac macedonian | mn mon mongolian
ms msa may malay | mt mlt maltese | my mya bur burmese | nb nob | ne nep nepali | nl nld dut dutch | no nor norwegian
pl pol polish | pt por portuguese 葡萄牙语 | ro ron rum romanian | ru rus russian 俄语 俄文 俄語 | sk slk slo slovak
sl slv slovenian | sq sqi alb albanian | sr srp serbian | sv swe swedish | sw swa swahili | ta tam tamil | te tel telugu
th tha thai 泰语 | tl tgl tagalog | tr tur turkish | ug uig uyghur | uk ukr ukrainian | ur urd urdu | vi vie vietnamese 越南语
zh zho chi cmn chinese mandarin 中文 汉语 漢語 | bo tib bod tibetan
"""
CODES = {
    name: names[0]
    for line in _NAMES.strip().split("\n")
    for names in (part.split() for part in line.split("|"))
    for name in names
}
# Written without blanks between words, nor between sentences.
WITHOUT_BLANKS = frozenset(("zh", "ja", "th", "lo", "km", "my", "bo"))
_REGION = re.compile(r"^([a-z]{2,3})[-_](?:[a-z]{2}|[a-z]{4}|\d{3})$")


def language_code(name: str) -> str | None:
    """The code of a language that is called so; None where none is.

    >>> [language_code(name) for name in ("de", "eng", "zh_CN", "zh-Hans", "Deutsch", "中文", "text")]
    ['de', 'en', 'zh', 'zh', 'de', 'zh', None]
    """
    plain = name.strip().lower()
    if region := _REGION.match(plain):
        plain = region[1]
    return CODES.get(plain)
