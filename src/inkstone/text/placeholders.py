"""What a translation must hold exactly as its source does: placeholders, tags, addresses, numbers.

{name}  {{name}}  ${name}  %{name}  {0}      %s  %d  %1$s  %(name)s  %.2f      <b>  </a>  <br/>  &nbsp;
https://...  www....  a@b.org (all in ASCII)     numbers of two digits and more, with what separates their digits: 1,250.5  10:30
"""

from collections.abc import Sequence

import regex

MOST = 8  # different ones of a text that are told apart; more of them stay text

_PATTERN = regex.compile(
    r"""
    (?:\b(?:https?|ftp)://|\bwww\.)[!\#-&*-;=?-~]*[\w/=&\#]   # an address, without the mark that ends the sentence
  | [A-Za-z0-9][\w.+-]*@[\w-]+(?:\.[\w-]+)+
  | \{\{[^{}\n]{1,60}\}\} | [$%\#]?\{[^{}\n]{0,60}\}
  | (?<![\w%])%(?:\d+\$|\([\w.]+\))?[-+0\#]*\d*(?:\.\d+)?(?:l{0,2}[diu]|[sfFgGxXceE@])(?![A-Za-z0-9])
  | </?[A-Za-z][\w:-]*(?:\s[^<>\n]*)?/?>
  | &(?:[A-Za-z]{2,12}|\#\d{1,7}|\#x[0-9A-Fa-f]{1,6});
  | (?<![\w.,])[0-9]+(?:[.,:/-][0-9]+)+(?![\w]) | (?<![0-9A-Za-z])[0-9]{2,}(?![0-9A-Za-z])
    """,
    regex.VERBOSE | regex.ASCII,
)

Masked = list[str | int]  # stretches of text, and the numbers of what stands between them


def placeholders(text: str) -> list[str]:
    """All of them, in order, each as often as it stands there.

    >>> placeholders("Hi {name}, see <b>https://a.org/x</b>. 100% sure: 3 of 250.")
    ['{name}', '<b>', 'https://a.org/x', '</b>', '100', '250']
    """
    return _PATTERN.findall(text)


def shared(source: str, target: str) -> list[str]:
    """The different ones that both texts have, each equally often in both, in the order of the source; `MOST` at most."""
    first, second = placeholders(source), placeholders(target)
    found = [each for each in dict.fromkeys(first) if first.count(each) == second.count(each)]
    return found[:MOST]


def masked(text: str, kept: Sequence[str]) -> Masked:
    """The text in stretches, with the place in `kept` of each placeholder that is there.

    >>> masked("Hi {name}!", ["{name}"])
    ['Hi ', 0, '!']
    """
    numbers = {each: number for number, each in enumerate(kept)}
    parts: Masked = []
    end = 0
    for match in _PATTERN.finditer(text):
        number = numbers.get(match[0])
        if number is not None:
            parts += [text[end : match.start()]] * (match.start() > end)
            parts.append(number)
            end = match.end()
    parts += [text[end:]] * (end < len(text))
    return parts


def has_words(parts: Masked) -> bool:
    """Whether a letter stands between the placeholders, so that there is something to translate."""
    return any(isinstance(part, str) and any(map(str.isalpha, part)) for part in parts)
