"""What happens where the packages of an extra are not installed."""

from __future__ import annotations

import subprocess
import sys

BLOCKED = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import carequeue, carequeue.testing
{then}
"""


def blocked(names: set[str], then: str = "") -> subprocess.CompletedProcess[str]:
    program = BLOCKED.format(blocked=names, then=then)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
