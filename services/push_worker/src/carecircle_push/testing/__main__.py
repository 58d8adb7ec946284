"""`python -m carecircle_push.testing`: the push sink as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from carecircle_push.testing.sink import PushSink


def main() -> None:
    arguments = _parser().parse_args()
    try:
        asyncio.run(_serve(arguments))
    except OSError as error:
        sys.exit(f"push sink: {error}")


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with PushSink(host=arguments.host, port=arguments.port, origin=arguments.origin) as sink:
        sys.stdout.write(f"push sink: listening, page at {sink.origin}\n")
        sys.stdout.flush()
        await stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m carecircle_push.testing",
        description="A push service with browsers made on demand (POST /subscriptions). Shows what they decrypt.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8026, help="0 is any free one (default: %(default)s)")
    parser.add_argument("--origin", help="what endpoints start with, if others reach this by another name")
    return parser


if __name__ == "__main__":
    main()
