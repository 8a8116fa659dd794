"""Optional downloads: checked by hash, kept in a cache, whole or not there at all.

pooch and requests are imported where something is fetched or looked for: few readers do either.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

CACHE_VARIABLE = "BIGMODEL_CACHE"
TIMEOUT = (5.0, 15.0)  # seconds: to connect, and between two pieces of the answer
CHUNK = 1 << 16  # bytes; pooch's own 1,024 flushes the disk 26,000 times for one file


class DownloadError(RuntimeError):
    """A file could not be had.  The message says why, and how to get it by hand."""


@dataclass(frozen=True)
class RemoteFile:
    """One file of a public data set.

    Args:
        name: its place below the cache folder, with "/", such as "mnist/labels.gz".
        sha256: the hash of the whole file, 64 hexadecimal digits.
        urls: where it is, in the order in which to try.
        size: bytes, to tell the reader beforehand; None where it is not known.

    Raises:
        ValueError: no address, or a hash that is no SHA-256.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    size: int | None = None

    def __post_init__(self):
        if len(self.sha256) != 64 or not set(self.sha256) <= set("0123456789abcdef"):
            raise ValueError(f"{self.name}: need 64 digits 0-9a-f as SHA-256, got {self.sha256!r}")
        if not self.urls:
            raise ValueError(f"{self.name}: need at least one address, got none")


def cache_folder() -> Path:
    """Where downloads are kept: $BIGMODEL_CACHE, or else the system's folder for caches."""
    from pooch import os_cache

    chosen = os.environ.get(CACHE_VARIABLE) or os_cache("bigmodel_lib")
    return Path(chosen).expanduser().absolute()


def is_cached(file: RemoteFile) -> bool:
    """Is the whole file, by its hash, in the cache?  Raises OSError if it cannot be read."""
    path = cache_folder() / file.name
    return path.is_file() and _hash(path) == file.sha256


def _hash(path: Path) -> str:
    from pooch import file_hash

    return file_hash(str(path))


def fetch(file: RemoteFile) -> Path:
    """The file's path in the cache; downloaded first if it is not there whole.

    Mirrors are tried in order.  Any number of processes may do so at once.

    Raises:
        DownloadError: no mirror gave the right file, or the cache folder cannot take it.
    """
    target = cache_folder() / file.name
    tried: list[str] = []
    try:
        if is_cached(file):
            return target
        if target.exists():  # say so, in case the reader put it there by hand
            tried.append(f"{shown(target)}: {_what_came(target)}")
        if _download(file, target, tried):
            return target
    except OSError as error:  # a full disk, a folder without access: no mirror would help
        tried.append(f"{shown(target.parent)}: {error.strerror or error}")
        raise DownloadError(_explain(file, target, tried)) from error
    raise DownloadError(_explain(file, target, tried))


def shown(path: Path) -> str:
    """The path as the reader should see it, with ~ for the home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def _download(file: RemoteFile, target: Path, tried: list[str]) -> bool:
    """Try each mirror; True once `target` is whole.  Adds what went wrong to `tried`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for url in file.urls:
        # Unfinished files get a folder of their own and are renamed when they are right:
        # `os.replace` is one step on every system, so that no reader ever sees half a file.
        # (`pooch.retrieve` uses `shutil.move`, which on Windows copies onto an existing file.)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="unfinished-") as folder:
            part = Path(folder, target.name)
            problem = _problem_with(url, file, part)
            if problem is None:
                _put_in_place(part, target, file)
                return True
        tried.append(f"{url}: {problem}")
    return False


def _put_in_place(part: Path, target: Path, file: RemoteFile) -> None:
    try:
        os.replace(part, target)
    except PermissionError:  # Windows, while someone reads: another process was first
        if not is_cached(file):
            raise


def _problem_with(url: str, file: RemoteFile, part: Path) -> str | None:
    """Download into `part`; what is wrong with the mirror or what it sent, None if nothing."""
    from pooch import HTTPDownloader
    from requests import exceptions

    try:
        HTTPDownloader(timeout=TIMEOUT, chunk_size=CHUNK)(url, str(part), None)
    except exceptions.HTTPError as error:
        return f"the server refused: {error}"
    except exceptions.Timeout as error:
        return f"no answer in time: {_cause(error)}"
    except exceptions.ChunkedEncodingError as error:
        return f"the connection was cut: {_cause(error)}"
    except exceptions.ConnectionError as error:
        return f"the connection failed: {_cause(error)}"
    except exceptions.RequestException as error:
        return f"the request failed: {error}"
    return None if _hash(part) == file.sha256 else _what_came(part)


def _cause(error: OSError) -> object:
    """What the network said, without the layers that requests and urllib3 wrap around it."""
    return getattr(error.args[0], "reason", error) if error.args else error


def _what_came(path: Path) -> str:
    size, came = path.stat().st_size, _hash(path)
    return f"a wrong file, cut or changed: {size:,} bytes, SHA-256 {came}"


def _explain(file: RemoteFile, target: Path, tried: list[str]) -> str:
    size = "" if file.size is None else f"{file.size:,} bytes, "
    return "\n".join(
        [
            f"could not get {file.name} ({size}SHA-256 {file.sha256}):",
            *(f"  {line}" for line in tried),
            "To get it by hand, download it from",
            *(f"  {url}" for url in file.urls),
            f"and save it as {shown(target)}",
            f"(or below another folder, and set {CACHE_VARIABLE} to that folder).",
        ]
    )
