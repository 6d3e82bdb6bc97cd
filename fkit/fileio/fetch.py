"""Files from the net, kept: each is fetched once, whole, and known by the checksum in its name.

They lie in ``$FKIT_CACHE``, by default ``$XDG_CACHE_HOME/fkit`` or ``~/.cache/fkit``, each under its host and path. A
fetch that was cut off goes on where it ended; several processes that want one file fetch it once.
"""

import contextlib
import hashlib
import http.client
import importlib
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from fkit.fileio.progress import progress
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, FkitValueError, quoted
from fkit.tree.place import place_of

__all__ = ["cache_folder", "fetch"]

_HASHED = re.compile(r"-([0-9a-f]{8,64})\.[^/]*$")  # as torch.hub has it
_CHUNK = 1 << 20
_SECONDS = 30.0  # without a byte
_AGENT = "fkit"


def cache_folder() -> Path:
    """Where files from the net are kept.

    Example:
        >>> cache_folder().name == "fkit" or "FKIT_CACHE" in os.environ
        True
    """
    chosen = os.environ.get("FKIT_CACHE")
    return Path(os.path.expanduser(chosen or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "fkit")))


def fetch(url: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """A file of the net, as a local one.

    Args:
        url: ``http://`` or ``https://``. Where the file's name ends with ``-xxxxxxxx`` before the dot, that is the
            beginning of its sha256, and what comes is held against it.
        folder: where to keep it; by default `cache_folder`. A file that torch.hub keeps already, under the same name, is
            taken from there where its checksum is right.

    Raises:
        FkitFileNotFoundError: the server has no such file.
        FkitOSError: the server does not answer, or the file cannot be kept; with where to put a copy by hand.
        FkitValueError: what came is another file than its name says, or no address of the net.
    """
    expect(url, str, "`url` is an address: https://...")
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FkitValueError(f"{quoted(url)} is no address of the net: https://HOST/PATH.")
    root = cache_folder() if folder is None else place_of(folder, "`folder` is where files are kept")
    names = [urllib.parse.unquote(name) for name in parts.path.split("/") if name]
    if not names or any(name in (".", "..") or "/" in name or "\0" in name for name in names):
        raise FkitValueError(f"{quoted(url)} names no file.")
    place = root.joinpath(parts.netloc.rpartition("@")[2].replace(":", "_"), *names)
    if parts.query:  # another file of the same name
        place = place.with_name(f"{hashlib.sha256(parts.query.encode()).hexdigest()[:8]}_{place.name}")
    if place.is_file():
        return place
    word = _HASHED.search(names[-1])
    known = _hub(names[-1], word[1]) if word is not None else None
    return known if known is not None else _fetched(url, place, word[1] if word is not None else "")


def _fetched(url: str, place: Path, word: str) -> Path:
    by_hand = (
        f"Where there is no way to {urllib.parse.urlsplit(url).hostname}, fetch it elsewhere and put it at {place}."
    )
    part = place.with_name(f"{place.name}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part) as file:
            if place.is_file():  # another process was there before
                return place
            _download(url, file, resume=bool(word))
            _check(url, file, word)
            os.replace(part, place)
    except urllib.error.HTTPError as cause:
        if cause.code in (404, 410):
            raise FkitFileNotFoundError(f"{url}: the server has no such file ({cause.code}).") from cause
        raise FkitOSError(
            f"{url}: cannot be fetched: the server answers {cause.code} {cause.reason}.", repair=by_hand
        ) from cause
    except (OSError, EOFError, http.client.HTTPException) as cause:
        if isinstance(cause, FkitOSError):
            raise
        why = getattr(cause, "reason", None) or getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        raise FkitOSError(f"{url}: cannot be fetched: {why}.", repair=by_hand) from cause
    return place


@contextmanager
def _alone(part: Path) -> Generator[IO[bytes]]:
    """The unfinished file, which no other process writes into meanwhile; one that stays empty is removed."""
    with open(part, "ab") as file:
        with contextlib.suppress(ImportError, OSError):  # where there are no locks, two processes fetch it twice
            locks: Any = importlib.import_module("fcntl")
            locks.flock(file, locks.LOCK_EX)
        try:
            yield file
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()


def _download(url: str, file: IO[bytes], resume: bool) -> None:
    done = file.seek(0, os.SEEK_END)
    if done and not resume:  # nothing says whether what is there is of the same file
        done = file.truncate(0)
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    try:
        answer: Any = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_SECONDS)
    except urllib.error.HTTPError as cause:
        if cause.code == 416 and done:  # all of it was there
            return
        raise
    with answer:
        if done and answer.status != 206:
            done = file.truncate(0)
        size = answer.headers.get("Content-Length")
        total = int(size) + done if size is not None and size.isdigit() else None
        name = url.partition("?")[0].rpartition("/")[2]
        with progress(name, total, unit="bytes") as advance:
            advance(done)
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                advance(len(chunk))
    file.flush()
    os.fsync(file.fileno())
    if total is not None and os.fstat(file.fileno()).st_size < total:
        raise EOFError("the connection was cut off; the next call goes on from there")


def _check(url: str, file: IO[bytes], word: str) -> None:
    if not word:
        return
    with open(file.name, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if not digest.startswith(word):
        file.truncate(0)
        raise FkitValueError(
            f"{url}: what came has the checksum {digest[: len(word)]}, and its name says {word}: it is another file, or was "
            "damaged on its way.",
            repair="Try again; where it stays so, the server has another file under that name.",
        )


def _hub(name: str, word: str) -> Path | None:
    """The file as torch.hub keeps it, where its checksum is right."""
    home = os.environ.get("TORCH_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    place = Path(os.path.expanduser(home), "hub", "checkpoints", name)
    if not place.is_file():
        return None
    with contextlib.suppress(OSError), open(place, "rb") as content:
        return place if hashlib.file_digest(content, "sha256").hexdigest().startswith(word) else None
    return None
