"""`python -m pdesolve VERB ...`, the same as the command `pdesolve`."""

import sys

from .cli.main import main

sys.exit(main())
