"""`python -m inkstone.cli`: the same as the command `inkstone`."""

import sys

from inkstone.cli import main

sys.exit(main())
