"""Places where text can be cut so that its parts have the same tokens as the whole.

The pre-tokenisers of `learning.py` never join in one pre-token
- a letter and what follows it, unless that is a letter, a mark or an apostrophe;
- anything but white space and a space after it;
- a line end and what follows it, unless that is white space.
The cuts here need no more than that, and only at characters that every version of Unicode sees alike.
"""

import re

# Letters: ASCII and the Han characters of Unicode 1.1. Stops: what may follow one of them after a cut.
LETTER = r"A-Za-z一-龥"
STOP = r" \n，。、；：？！“”《》（）"
CUT = re.compile(rf"(?<=[{LETTER}])(?=[{STOP}])|(?<=[!-~])(?= )|(?<=\n)(?=[!-~一-龥])")


def pieces(text: str, size: int) -> list[str]:
    """Parts of `text` of about `size` characters, cut where it is safe; longer where there is no such place.

    >>> pieces("one two three four", 5)
    ['one two', ' three', ' four']
    """
    parts = []
    start = 0
    while len(text) - start > size and (cut := CUT.search(text, start + size)):
        parts.append(text[start : cut.start()])
        start = cut.start()
    if start < len(text):
        parts.append(text[start:])
    return parts
