"""What the kit ships beside its code: folders next to the package in a clone, copies inside of it in a wheel."""

from pathlib import Path

from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitValueError

__all__ = ["shipped_folder"]


def shipped_folder(name: str) -> Path:
    """A folder that the kit ships, by its path in a clone: ``configs``, ``experiments/own``.

    What a wheel holds of them is set in pyproject.toml (``tool.hatch.build.targets.wheel``): there they lie in
    ``fkit/shipped``.

    Raises:
        FkitTypeError: ``name`` is no text; FkitValueError: it is no path below a folder.
        FkitFileNotFoundError: this installation has no such folder.

    Example:
        >>> (shipped_folder("configs") / "digits" / "convnet.py").is_file()
        True
    """
    expect(name, str, "A shipped folder is named by its path")
    if not name or name.startswith("/") or ".." in name.split("/"):
        raise FkitValueError(f"{name!r} names no shipped folder.", repair="Write 'configs', say.")
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "shipped" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise FkitFileNotFoundError(
        f"This installation of fkit has no folder {name!r}.",
        repair="Install fkit-vision anew, or clone its repository.",
    )
