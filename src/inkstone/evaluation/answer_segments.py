"""What an answer consists of when it is compared with another: words of English, characters of Chinese.

These are the normalisations of the official scripts of SQuAD and CMRC 2018, on which published figures rest.
"""

import re
import string

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)

# Signs that the script of CMRC 2018 drops. It lists the ellipsis as two characters, which no single one can equal, so that
# … stays; and ‘ is not in its list, though ’ is.
_SIGNS = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_HAN_OR_REST = re.compile("[一-龥]|[^一-龥]+")

# Words of text between Chinese characters, as the Penn Treebank cuts them: in this order, each match is set apart.
_QUOTES_BEFORE = (
    (re.compile("([«‘„])"), r" \1 "),
    (re.compile('^"'), " `` "),
    (re.compile("([ ([{<])(\"|'{2})"), r"\1 `` "),
    (re.compile(r"(?<!\w)'(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)"), "' "),
)
_MARKS = (
    (re.compile(r"([^.])(\.)([\])}>\"' »]*+)\s*$"), r"\1 \2 \3 "),  # the full stop of the end, and no other
    (re.compile(r",(\D)"), r" , \1"),
    (re.compile(",$"), " , "),
    (re.compile(r"\.{2,}"), r" \g<0> "),
    (re.compile(r"[;@#$%&?!\u2012-\u2015]"), r" \g<0> "),
    (re.compile("([^'])' "), r"\1 ' "),
    (re.compile(r"[\][(){}<>]"), r" \g<0> "),
)
_JOINED = (  # two words written as one: can|not, gon|na
    r"\b(can(?=not)|d(?='ye)|gim(?=me)|gon(?=na)|got(?=ta)|lem(?=me)|more(?='n)|wan(?=na\s))"
    r"(not|'ye|me|na|ta|'n)\b"
)
_QUOTES_AFTER = (
    (re.compile("»"), " » "),
    (re.compile("''|\""), " '' "),
    (re.compile(r"\s+"), " "),
    (re.compile("([^' ])('[smd]|') "), r"\1 \2 "),
    (re.compile("([^' ])('ll|'re|'ve|n't) "), r"\1 \2 "),
    (re.compile(_JOINED), r" \1 \2 "),
    (re.compile(r" ('t)(is|was)\b"), r" \1 \2 "),
)


def squad_words(text: str) -> list[str]:
    """The words of the SQuAD scripts (v1.1 and v2.0): lower case, without ASCII punctuation, without a, an and the.

    >>> squad_words("The U.S. Navy's  a ship")
    ['us', 'navys', 'ship']
    """
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def cmrc_characters(text: str) -> str:
    """What the CMRC 2018 script compares for an exact match: lower case, without signs, blanks inside kept.

    >>> cmrc_characters(" 《红楼梦》（Hong Lou Meng） ")
    '红楼梦hong lou meng'
    """
    return text.lower().strip().translate(_SIGNS)


def cmrc_segments(text: str) -> list[str]:
    """The mixed segmentation of the CMRC 2018 script: every Chinese character alone, words of what stands between.

    Lower case, without signs. The script cuts the rest by `nltk.word_tokenize`; here the same rules of the Penn Treebank
    stand as expressions, applied to each stretch as one sentence. (NLTK first looks for sentences inside the stretch,
    with a trained model; where it finds two, it splits the full stop between them off as well.)

    >>> cmrc_segments("《红楼梦》有120回，作者can't be sure.")
    ['红', '楼', '梦', '有', '120', '回', '作', '者', 'ca', "n't", 'be', 'sure', '.']
    """
    segments: list[str] = []
    for part in _HAN_OR_REST.findall(cmrc_characters(text)):
        segments += [part] if "一" <= part[0] <= "龥" else _treebank_words(part)
    return segments


def _treebank_words(text: str) -> list[str]:
    for pattern, apart in _QUOTES_BEFORE + _MARKS:
        text = pattern.sub(apart, text)
    text = f" {text} "
    for pattern, apart in _QUOTES_AFTER:
        text = pattern.sub(apart, text)
    return text.split()
