"""Where the public data sets lie that benchmarks read."""

import os
import sys
from pathlib import Path


def the_mirror() -> Path:
    """The folder that INKSTONE_DATA names; the process ends where there is none."""
    named = os.environ.get("INKSTONE_DATA")
    if not named or not Path(named).is_dir():
        sys.exit("INKSTONE_DATA must name the mirror of the public data sets")
    return Path(named)
