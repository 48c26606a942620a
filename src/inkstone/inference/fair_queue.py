"""Who is next: fair turns between clients, first come first served within each.

The next slot goes to the client that has the fewest texts under way, and among those with as few to the one that has waited
longest since it came or had a turn. So a client with a hundred requests takes what others leave, and one with a single request waits for one slot.
"""

import threading
from collections import Counter, deque

from inkstone.inference.requests import Busy, Writing


class FairQueue:
    """Requests that wait, for any thread to put in and take out."""

    def __init__(self, longest: int):
        self.longest = longest
        self.lock = threading.Lock()
        self.turns: dict[str, deque[Writing]] = {}  # of clients that wait, in the order of their turns
        self.waiting = 0

    def __len__(self) -> int:
        return self.waiting

    def put(self, writing: Writing) -> None:
        """Add at the end of its client's own queue. Raises Busy where the queue is full."""
        with self.lock:
            if self.waiting >= self.longest:
                raise Busy(self.waiting)
            self.turns.setdefault(writing.request.client, deque()).append(writing)
            self.waiting += 1

    def next(self, under_way: Counter[str]) -> Writing | None:
        """Take out whose turn it is, given how many texts each client has under way."""
        with self.lock:
            if not self.turns:
                return None
            client = min(self.turns, key=lambda client: under_way[client])
            queue = self.turns.pop(client)
            self.waiting -= 1
            writing = queue.popleft()
            if queue:
                self.turns[client] = queue
            return writing

    def remove(self, writing: Writing) -> bool:
        """Take out one that is no longer wanted; whether it was there."""
        client = writing.request.client
        with self.lock:
            if writing not in self.turns.get(client, ()):
                return False
            self.turns[client].remove(writing)
            self.waiting -= 1
            if not self.turns[client]:
                del self.turns[client]
            return True
