"""The tokens of Whisper that are no text: what a transcript begins with, languages, times, and what is never written.

    [previous text …] start language task [no times] text … end
    [previous text …] start language task time text … time time text … time end

An English model knows neither language nor task. Source: Radford et al. 2022, section 2.3 and figure 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from inkstone.errors import RunError, nearest

SECONDS_A_TIME = 0.02  # from one time token to the next


@dataclass(frozen=True)
class SpeechTokens:
    """Their ids in one checkpoint. All text stands before `end`, all times from `first_time` on."""

    start: int
    end: int
    no_times: int
    previous: int | None = None  # begins the text that was said before
    transcribe: int | None = None
    translate: int | None = None
    languages: Mapping[str, int] = field(default_factory=dict)  # code → id; empty: English alone
    suppressed: tuple[int, ...] = ()  # never written
    suppressed_first: tuple[int, ...] = ()  # nor these as the first
    latest_first_time: int | None = None  # steps from the window's begin to the first time, at most
    alignment_heads: tuple[tuple[int, int], ...] = ()  # (layer, head) of the decoder that look where a word is said

    @property
    def first_time(self) -> int:
        """The id of the time 0.00."""
        return self.no_times + 1

    @property
    def no_speech(self) -> int:
        """The id that says that nobody speaks; it stands before that of no times."""
        return self.no_times - 1

    def language(self, name: str) -> int:
        """The id of a language. Raises RunError for one that the checkpoint does not know."""
        if not self.languages:
            raise RunError(f"language {name!r}: this checkpoint is of English alone; leave the language out")
        if name not in self.languages:
            raise RunError(f"this checkpoint knows no language {name!r}; {nearest(name, self.languages)}")
        return self.languages[name]

    def prompt(self, language: int | None, *, translate: bool = False, times: bool = True) -> tuple[int, ...]:
        """What a transcript begins with. Raises RunError for a checkpoint that does not translate."""
        task = self.translate if translate else self.transcribe
        if translate and (task is None or language is None):
            raise RunError(
                "this checkpoint has no token for translation; it writes what is said in the language it is said in"
            )
        asked = () if language is None else (language, *(() if task is None else (task,)))
        return (self.start, *asked, *(() if times else (self.no_times,)))
