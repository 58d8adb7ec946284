"""`python -m carequeue`: look at queues, and put right what went wrong, without writing a program.

One command of `arguments.py` is one function of `look.py`, `change.py`, `doctor.py` or `bench.py`. Each gets what was
asked and an `Output`, and answers the exit code.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from carequeue.cli.arguments import parser
from carequeue.cli.output import Output, Refused
from carequeue.errors import CarequeueError, InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 if something failed, 2 if it was asked wrongly.

    `arguments` are those of the process unless given.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not know every letter of a name
    asked = parser().parse_args(arguments)
    output = Output(as_json=asked.json)
    try:
        code = asyncio.run(asked.command(asked, output))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (InvalidOption, Refused) as error:
        output.complain(str(error))
        return MISUSED
    except (CarequeueError, RedisError) as error:
        output.complain(str(error))
        return FAILED
    return code
