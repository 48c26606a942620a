"""The errors that a person may see: each names what was found, where, and the way out."""

from collections.abc import Iterable
from difflib import get_close_matches


class InkstoneError(Exception):
    """Anything that a person can mend. The command line prints it as one line and exits with code 2."""


class TextError(InkstoneError):
    """Text that cannot be read or that leaves nothing to learn from."""


class AudioError(InkstoneError):
    """Sound that cannot be read or in which nothing can be heard."""


class RecipeError(InkstoneError):
    """A setting that does not exist or cannot hold."""


class RunError(InkstoneError):
    """A run folder that is missing, incomplete, damaged or already in use."""


class CheckpointError(InkstoneError):
    """A checkpoint or shard whose bytes are not what was written."""


class MissingExtraError(InkstoneError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{purpose} needs the package {package!r}; install it with: pip install 'inkstone[{extra}]'")


class Interrupted(InkstoneError):
    """Work stopped by Ctrl-C or SIGTERM after its state was saved."""

    def __init__(self, message: str, exit_code: int = 130):
        super().__init__(message)
        self.exit_code = exit_code


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint that names the valid spelling nearest to `name`, or all of them when none is near.

    >>> nearest("widht", ["width", "depth"])
    "did you mean 'width'?"
    >>> nearest("zzz", ["width", "depth"])
    'valid names: depth, width'
    """
    names = sorted(valid)
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else "valid names: " + ", ".join(names)
