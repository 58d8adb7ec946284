"""A file on its way to a person: written whole before its first byte is sent, so half of one is never taken for it.

Little of it is in memory: what is larger goes to a temporary file that has no name and vanishes with the answer.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, ClassVar

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from carecircle.domain.errors import Conflict

IN_MEMORY = 1024 * 1024
LARGEST = 256 * 1024 * 1024
BLOCK = 64 * 1024
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}", re.ASCII)


class ExportTooLarge(Conflict):
    """This file would be larger than 256 MB; ask for a shorter period."""

    code: ClassVar[str] = "export_too_large"


class Download(StreamingResponse):
    """Sends the file and closes it, also when the reader leaves."""

    def __init__(self, file: IO[bytes], *, media_type: str, name: str) -> None:
        if not NAME.fullmatch(name):
            raise ValueError(f"not a name that every system takes: {name!r}")
        size = file.tell()
        file.seek(0)
        self._file = file
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(size),
            "Cache-Control": "no-store",
        }
        super().__init__(_blocks(file), media_type=media_type, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


async def download(parts: AsyncIterator[bytes], *, media_type: str, name: str) -> Download:
    """The answer that hands over `parts`.

    Raises:
        ExportTooLarge: they are more than `LARGEST` bytes.
    """
    file = SpooledTemporaryFile[bytes](IN_MEMORY)
    try:
        async for part in parts:
            file.write(part)
            _check_size(file)
        return Download(file, media_type=media_type, name=name)
    except BaseException:
        file.close()
        raise


def _check_size(file: IO[bytes]) -> None:
    if file.tell() > LARGEST:
        raise ExportTooLarge


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block
