"""What a model wrote, on a screen: bytes of a model that has learned little may spell commands to a terminal."""

import sys

KEPT = "\t\n"
# C0 as its pictures, delete as its own, and C1, which has none.
PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in KEPT}
PICTURES |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def shown(text: str) -> str:
    """The text for standard output: to a terminal with pictures of control characters, to a file or pipe as it is."""
    return text.translate(PICTURES) if sys.stdout.isatty() else text
