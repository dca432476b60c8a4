"""`python -m xdyna` is the `xdyna` command."""

import sys

from xdyna.cli import main

sys.exit(main())
