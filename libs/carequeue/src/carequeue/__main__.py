"""`python -m carequeue`: the operator's tool."""

import sys

from carequeue.cli import main

sys.exit(main())
