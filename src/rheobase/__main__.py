"""``python -m rheobase``."""

import sys

from rheobase.cli import main

sys.exit(main())
