"""Stop strings in a stream: text is given out at once, except what may be the beginning of a stop string."""


class StopStrings:
    """Lets text through until one of `stops` is complete, and never a part of that one.

    The cut does not depend on how the text is divided into pieces: it lies where the stop string that is complete
    first begins, and of several that are complete at the same character, where the longest begins.

    >>> gate = StopStrings(("\\nUser:",))
    >>> gate.push("Hello.\\nUse"), gate.push("ful.\\nUser: hi"), gate.found
    ('Hello.', '\\nUseful.', True)
    """

    def __init__(self, stops: tuple[str, ...]):
        self.stops = stops
        self.held = ""
        self.found = False  # a stop string was complete: the text is over

    def push(self, text: str) -> str:
        """What of the text so far is now certain to stand before any stop string."""
        if not self.stops or self.found:
            return "" if self.found else text
        self.held += text
        places = [(self.held.find(stop), len(stop)) for stop in self.stops]
        complete = [(start + length, start) for start, length in places if start >= 0]
        if complete:
            self.found = True
            return self._release(min(complete)[1])
        longest = max(map(len, self.stops)) - 1
        for start in range(max(0, len(self.held) - longest), len(self.held)):
            if any(stop.startswith(self.held[start:]) for stop in self.stops):
                return self._release(start)
        return self._release(len(self.held))

    def finish(self) -> str:
        """What was held back when the text ends without a stop string."""
        return "" if self.found else self._release(len(self.held))

    def _release(self, end: int) -> str:
        text, self.held = self.held[:end], self.held[end:]
        return text
