"""Opening of files as UTF-8: gzip is decompressed, UTF-16 recoded; other formats are rejected with a message.

Must not be here: the content of files (`sources`).
"""

from __future__ import annotations

import codecs
import io
import sys
import zlib
from contextlib import contextmanager, nullcontext
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from gateway.domain import bounds

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN: Final = "-"
GZIP: Final = b"\x1f\x8b"
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PIECE: Final = 256 * 1024
_ALWAYS: Final = bounds.LINE.number  # decompressed bytes that any file may have
_UNPACK: Final = "Extract it, and import the files or the folder."
_NOT_OURS: Final = {
    b"PK\x03\x04": f"This is a ZIP archive. {_UNPACK}",
    b"PK\x05\x06": "This is an empty ZIP archive.",
    b"BZh": f"This file is compressed with bzip2. {_UNPACK}",
    b"\xfd7zXZ\x00": f"This file is compressed with xz. {_UNPACK}",
    b"\x28\xb5\x2f\xfd": f"This file is compressed with zstd. {_UNPACK}",
    b"7z\xbc\xaf\x27\x1c": f"This is a 7-Zip archive. {_UNPACK}",
    b"SQLite format 3\x00": "This is a SQLite database. Export its threads and messages as JSON.",
    b"%PDF-": "This is a PDF. Expected threads and messages as JSON.",
    codecs.BOM_UTF32_LE: "This text is encoded as UTF-32. Expected UTF-8.",
    codecs.BOM_UTF32_BE: "This text is encoded as UTF-32. Expected UTF-8.",
}
# The places of zero bytes in UTF-16 without a byte order mark: JSON starts with two ASCII characters.
_BY_ZEROS: Final[dict[tuple[int, ...], str]] = {(0, 1, 0, 1): "utf-16-le", (1, 0, 1, 0): "utf-16-be"}
_TAR: Final = (257, b"ustar")
# Exceptions of reading a damaged file.
DAMAGED: Final = (BadGzipFile, EOFError, zlib.error, UnicodeError)


class UnreadableError(Exception):
    """A file in a format that is not supported; the message says which."""


@contextmanager
def open_text(source: str) -> Iterator[IO[bytes]]:
    """Open a file or standard input within the block.

    Errors: OSError if it cannot be opened; UnreadableError if its format is not supported.
    """
    with nullcontext(sys.stdin.buffer) if source == STDIN else Path(source).open("rb") as stream:
        yield _as_utf_8(_as_buffered(stream))


def damage_message(error: BaseException) -> str:
    """Return the message for a damaged file."""
    if isinstance(error, UnicodeError):
        return "The UTF-16 text is truncated or damaged."
    return "The gzip data is truncated or damaged."


def _as_buffered(stream: IO[bytes]) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_Raw(stream))


def _as_utf_8(stream: io.BufferedReader) -> io.BufferedReader:
    head = stream.peek(512)
    if head.startswith(GZIP):
        stream = io.BufferedReader(_Inflated(stream), _PIECE)
        head = _head_of(stream)
        if head.startswith(GZIP):
            raise UnreadableError(f"This file is compressed with gzip twice. {_UNPACK}")
    for magic, sentence in _NOT_OURS.items():
        if head.startswith(magic):
            raise UnreadableError(sentence)
    at, magic = _TAR
    if head[at:].startswith(magic):
        raise UnreadableError(f"This is a TAR archive. {_UNPACK}")
    encoding = "utf-16" if head.startswith(_UTF_16) else _BY_ZEROS.get(tuple(int(byte == 0) for byte in head[:4]))
    return stream if encoding is None else io.BufferedReader(_Recoded(stream, encoding), _PIECE)


def _head_of(stream: io.BufferedReader) -> bytes:
    try:
        return stream.peek(512)
    except DAMAGED as error:
        raise UnreadableError(damage_message(error)) from error


class _Raw(io.RawIOBase):
    """The bytes of another stream, counted."""

    def __init__(self, stream: IO[bytes] | GzipFile) -> None:
        self._stream = stream
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        some = self._some(len(buffer))
        buffer[: len(some)] = some
        return len(some)

    def _some(self, at_most: int) -> bytes:
        some = self._stream.read(at_most)
        self.count += len(some)
        return some


class _Inflated(_Raw):
    """Decompressed gzip data; reading stops at the limit of the compression ratio."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._packed = _Raw(stream)
        super().__init__(GzipFile(fileobj=io.BufferedReader(self._packed, _PIECE)))

    def _some(self, at_most: int) -> bytes:
        some = super()._some(at_most)
        if self.count > max(_ALWAYS, bounds.INFLATION.number * self._packed.count):
            message = (
                f"It expands to more than {bounds.INFLATION.number} times its size. "
                "Decompress it before the import, if you trust it."
            )
            raise UnreadableError(message)
        return some


class _Recoded(_Raw):
    """UTF-16, as some shells write it, recoded as UTF-8."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        super().__init__(stream)
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._left = b""
        self._is_done = False

    def _some(self, at_most: int) -> bytes:
        while not self._left and not self._is_done:
            read = super()._some(_PIECE)
            self._is_done = not read
            self._left = self._decoder.decode(read, final=self._is_done).encode()
        some, self._left = self._left[:at_most], self._left[at_most:]
        return some
