"""``python -m fkit`` is the command ``fkit``."""

import sys

from fkit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
