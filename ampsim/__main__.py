"""`python -m ampsim` is the `ampsim` command."""

import sys

from ampsim.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
