"""Whether the inner loops run compiled: numba is an extra, and without it the readable loops do the same work slowly."""

from importlib.util import find_spec

from inkstone.errors import MissingExtraError


def has_numba(wanted: bool | None = None) -> bool:
    """True where numba is installed and not declined. Raises MissingExtraError where it is wanted and missing."""
    if wanted is False:
        return False
    if find_spec("numba") is not None:
        return True
    if wanted:
        raise MissingExtraError("numba", "vectors", "learning word vectors at full speed")
    return False
