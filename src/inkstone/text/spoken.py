"""What of a written text is spoken, and the words that it is spoken in."""

import unicodedata

import regex

# An ideograph, kana or bopomofo: a character that is written without blanks around it.
_ALONE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}]")
_UNSPOKEN = regex.compile(r"(?<!\w)['’]|['’](?!\w)|(?<!\d)[.,]|[.,](?!\d)|[\p{P}\p{S}--['’.,%&+°]]", regex.V1)


def as_spoken(text: str) -> str:
    """A transcript in small letters, without marks that nobody speaks, one blank between words.

    Apostrophes inside words stay, and so do the point and the comma inside numbers.

    >>> as_spoken("“Don’t,” said  Ann: 3.5 inks!"), as_spoken("研墨，写字。")
    ("don't said ann 3.5 inks", '研墨 写字')
    """
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").lower()
    return joined_words(_UNSPOKEN.sub(" ", plain))


def joined_words(text: str) -> str:
    """One blank between words, none at the ends.

    >>> joined_words(" ink  stone ")
    'ink stone'
    """
    return " ".join(text.split())


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, each with the blank before it; a character that stands alone is a word of its own.

    >>> words_of("two four"), words_of("研墨 ink")
    (('two', ' four'), ('研', '墨', ' ink'))
    """
    words: list[str] = []
    for at, character in enumerate(text):
        if at == 0 or begins_word(words[-1], character):
            words.append(character)
        else:
            words[-1] += character
    return tuple(words)


def begins_word(before: str, character: str) -> bool:
    """Whether a character begins a new word after one that reads `before`, its blank included."""
    if character == " ":
        return True
    return before != " " and (stands_alone(character) or stands_alone(before[-1]))


def stands_alone(character: str) -> bool:
    """Whether a character is a word by itself.

    >>> stands_alone("墨"), stands_alone("a")
    (True, False)
    """
    return _ALONE.fullmatch(character) is not None
