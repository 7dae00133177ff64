"""`python -m legate_jit` is the command `legate-jit`."""

import sys

from .cli import main

sys.exit(main())
