"""How many tokens to guess next, and whether to guess at all: measured while the text is written.

A round of guesses pays where

    tokens a round / seconds a round  >  1 / seconds a plain step

with the mean tokens and the median times of the last rounds, so that a moment in which the machine did something else decides
nothing. Where guesses do not pay, plain steps follow, and a few rounds of guesses now and then see whether that has changed;
each time they fail, the next trial is twice as far off.

A guess is one token longer than what was accepted of the last one, up to as many as were asked for.
"""

from collections import deque
from statistics import median

PLAIN_FIRST = 3  # plain steps before the first guess, to know what one takes
TRIAL = 3  # rounds of guesses that are judged
FIRST_GUESS = 2  # tokens of the first guess of a trial: where guesses are wrong, long ones cost the most
REMEMBERED = 16  # rounds
SHORTEST_REST = 64  # plain steps after a trial that failed
LONGEST_REST = 1024
AGAIN_AFTER = 48  # rounds of guesses, after which plain steps are timed anew
PLAIN_AGAIN = 2


class Pace:
    """The times of plain steps and of rounds with guesses, and what follows from them."""

    def __init__(self, tokens: int, always: bool = False):
        self.tokens, self.always = tokens, always
        self.next = min(FIRST_GUESS, tokens)
        self.plain: deque[float] = deque(maxlen=REMEMBERED)
        self.guessed: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)  # seconds and tokens of a round
        self.plain_left = 0 if always else PLAIN_FIRST  # plain steps before the next guess
        self.rest = SHORTEST_REST
        self.since_plain = 0
        self.seconds = self.written = 0.0

    def most(self) -> int:
        """Tokens to guess in the next round; 0: a plain step."""
        if self.always:
            return self.tokens
        return 0 if self.plain_left else self.next

    def took(self, seconds: float, tokens: float, accepted: int | None, width: int) -> None:
        """What a round took and gave to each text. `accepted`: of its longest guess; None where none was made."""
        self.seconds += seconds
        self.written += tokens
        if accepted is None:
            # A step that reads several tokens which were decided before is no plain one.
            if width == 1:
                self.plain.append(seconds)
            self.plain_left = max(0, self.plain_left - 1)
            return
        self.guessed.append((seconds, tokens))
        self.next = min(self.tokens, accepted + 1)
        self.since_plain += 1
        if self.always:
            return
        if len(self.guessed) >= TRIAL and not self.pays():
            self.guessed.clear()
            self.plain_left, self.next = self.rest, min(FIRST_GUESS, self.tokens)
            self.rest = min(LONGEST_REST, 2 * self.rest)
        elif self.since_plain >= AGAIN_AFTER:
            self.since_plain, self.plain_left = 0, PLAIN_AGAIN
            self.rest = SHORTEST_REST

    def pays(self) -> bool:
        """Whether the last guesses brought more tokens a second than plain steps do."""
        if not self.plain:
            return True
        tokens = sum(tokens for _, tokens in self.guessed) / len(self.guessed)
        return tokens * median(self.plain) > median(seconds for seconds, _ in self.guessed)

    @property
    def speed_up(self) -> float | None:
        """Seconds that plain steps would have taken for what was written, to those it took."""
        if not self.plain or not self.seconds:
            return None
        return self.written * median(self.plain) / self.seconds
