"""Text of files, gzipped or not: line by line, of a size that is bounded while it is read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from crystalnet.errors import Code, CrystalNetError

LONGEST = 1 << 20  # characters of a line, our choice: the largest crystals of a table have 100,000
MOST = 2 << 30  # bytes of a table after unpacking, our choice: a hundred thousand crystals have 300 MB


def lines_of(path: Path, most: int = MOST, errors: str = "strict") -> Iterator[str]:
    r"""Lines of a UTF-8 text, unpacked where the name ends with .gz.

    Args:
        path: the file.
        most: bytes after unpacking; a packed file of a megabyte may hold a thousand.
        errors: 'replace' where other bytes can only stand in comments and names.

    Raises:
        CrystalNetError: a file that can't be read, is not such text, or is longer than that.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.txt.gz"
    ...     _ = path.write_bytes(gzip.compress(b"one\ntwo\n"))
    ...     list(lines_of(path))
    ['one\n', 'two\n']
    """
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    left = most
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors=errors) as file:
            while line := file.readline(LONGEST):
                left -= len(line)
                if left < 0 or len(line) == LONGEST:
                    raise CrystalNetError(
                        f"{path.name}: it holds more than {most / 1e6:.0f} MB, or a line of more than"
                        f" {LONGEST / 1e6:.0f} MB, after unpacking. Divide it, or leave out what is no"
                        " structure.",
                        Code.TOO_LARGE,
                    )
                yield line
    except FileNotFoundError:
        raise CrystalNetError(f"There is no file {path}. Correct the path.", Code.FILE_MISSING) from None
    except UnicodeDecodeError as error:
        raise CrystalNetError(
            f"{path.name}: it is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8.",
            Code.FILE_UNREADABLE,
        ) from None
    except (OSError, EOFError, zlib.error) as error:  # not a gzip file, cut, damaged, no permission
        raise CrystalNetError(
            f"{path.name}: it can't be read ({error}). Fetch the file again.", Code.FILE_UNREADABLE
        ) from None
