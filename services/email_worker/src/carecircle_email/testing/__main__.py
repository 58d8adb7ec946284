"""`python -m carecircle_email.testing`: the mail sink as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from carecircle_email.testing.sink import SmtpSink


def main() -> None:
    arguments = _parser().parse_args()
    try:
        asyncio.run(_serve(arguments))
    except OSError as error:
        sys.exit(f"mail sink: {error}")


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sink = SmtpSink(host=arguments.host, port=arguments.smtp_port, http_port=arguments.http_port, file=arguments.file)
    async with sink:
        sys.stdout.write(f"mail sink: SMTP on {sink.host}:{sink.port}, inbox at {sink.url}\n")
        sys.stdout.flush()
        await stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m carecircle_email.testing",
        description="A mail server that keeps what it gets and shows it on a page. Delivers nothing.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--smtp-port", type=int, default=1025, help="0 is any free one (default: %(default)s)")
    parser.add_argument("--http-port", type=int, default=8025, help="0 is any free one (default: %(default)s)")
    parser.add_argument("--file", type=Path, help="append every mail to this file, one JSON object a line")
    return parser


if __name__ == "__main__":
    main()
