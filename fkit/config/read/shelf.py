"""The configs that the kit ships, by name: ``digits/convnet``."""

import os
from pathlib import Path

from fkit.config.read.source import SUFFIXES
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitValueError, nearest
from fkit.tree.package import shipped_folder
from fkit.tree.place import is_url, near_path

__all__ = ["config_names", "file_of", "shelf_file", "unknown"]

_BASES = "_base_"  # a folder of parts, no whole configs


def config_names() -> tuple[str, ...]:
    """The shipped configs: a Python file without its suffix, another file with it; bases are left out.

    Example:
        >>> "digits/convnet" in config_names(), "digits/mlp.yaml" in config_names()
        (True, True)
    """
    root = str(shipped_folder("configs"))
    names: list[str] = []
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if name != _BASES and not name.startswith((".", "__")))
        inside = os.path.relpath(folder, root).replace(os.sep, "/")
        for file in files:
            if file.endswith(SUFFIXES):
                name = file if inside == "." else f"{inside}/{file}"
                names.append(name.removesuffix(".py"))
    return tuple(sorted(names))


def shelf_file(name: str) -> str | None:
    """The file of a shipped config, None where there is none of that name.

    Args:
        name: with or without ``.py``, with or without ``configs/`` before it; ``convnet`` is enough where one folder
            has it.

    Raises:
        FkitValueError: several folders have one of that name.

    Example:
        >>> shelf_file("digits/convnet") == shelf_file("configs/digits/convnet.py") == shelf_file("convnet")
        True
    """
    expect(name, str, "A config is named by text")
    words = name.removeprefix("configs/")
    if not words or os.path.isabs(words) or "\0" in words or ".." in words.split("/"):
        return None
    root = shipped_folder("configs")
    for file in (root / words, root / f"{words}.py"):
        if file.name.endswith(SUFFIXES) and file.is_file():
            return str(file)
    wanted = words.removesuffix(".py")
    matches = [known for known in config_names() if known.endswith(f"/{wanted}")]
    if len(matches) > 1:
        raise FkitValueError(
            f"{name!r} may be several of the configs that fkit ships.", choices=matches, label="Write one of"
        )
    return str(file_of(matches[0])) if matches else None


def file_of(name: str) -> Path:
    """The file of one of `config_names`."""
    expect(name, str, "A config is named by text")
    return shipped_folder("configs") / (name if name.endswith(SUFFIXES) else f"{name}.py")


def unknown(name: str) -> FkitFileNotFoundError | None:
    """The error for a name that is neither a file's nor a shipped config's; None where it can only mean a file.

    Example:
        >>> print(str(unknown("digits/convnt")).partition(" Shipped")[0])
        There is no config file digits/convnt, and fkit ships no config of that name.
          Did you mean 'digits/convnet'?
    """
    expect(name, str, "A config is named by text")
    names, words = config_names(), name.removeprefix("configs/").removesuffix(".py")
    last = {known.rpartition("/")[2]: known for known in reversed(names)}
    alike = nearest(words, names) or last.get(nearest(words, last) or "")
    if os.path.isabs(words) or is_url(name):
        return None
    if name.endswith(SUFFIXES) and (alike is None or near_path(name) is not None):
        return None
    return FkitFileNotFoundError(
        f"There is no config file {name}, and fkit ships no config of that name.",
        value=alike,
        choices=names,
        label="Shipped",
        more="fkit configs",
    )
