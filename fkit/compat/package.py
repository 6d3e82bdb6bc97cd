"""Installed packages, and the modules that they bring."""

import importlib.metadata
import importlib.util
import os

from fkit.tree.check import expect
from fkit.tree.error import FkitImportError, FkitValueError

__all__ = ["get_installed_path", "is_installed", "package2module"]


def is_installed(package: str) -> bool:
    """Whether a package is there, by the name that is imported or the one that is installed; it is not imported.

    Example:
        >>> is_installed("json"), is_installed("opencv-python"), is_installed("no_such_package")
        (True, True, False)
    """
    expect(package, str, "`package` is the name of a package")
    try:
        if importlib.util.find_spec(package) is not None:
            return True
    except (ModuleNotFoundError, ValueError):  # a part of a package that is missing itself, or no name
        pass
    try:
        importlib.metadata.distribution(package)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False
    return True


def package2module(package: str) -> str:
    """The name that is imported of a package that is installed by another: ``"opencv-python"`` is ``cv2``.

    Raises:
        FkitImportError: it is not installed.
        FkitValueError: it brings no module.

    Example:
        >>> package2module("pyyaml"), package2module("numpy")
        ('yaml', 'numpy')
    """
    expect(package, str, "`package` is the name of an installed package")
    distribution = _distribution(package)
    names = (distribution.read_text("top_level.txt") or "").split()
    for path in distribution.files or ():
        # a folder with Python in it, or a file of its own
        top, below = path.parts[0], len(path.parts) > 1
        names.append(top if below else top.partition(".")[0] if path.suffix in (".py", ".so", ".pyd") else "")
    named = [name for name in names if name.isidentifier() and name != "__pycache__"]
    public = [name for name in named if not name.startswith("_")] or named
    if not public:
        raise FkitValueError(f"The package {package!r} brings no module.")
    same = package.lower().replace("-", "_")
    return next((name for name in public if name.lower() == same), public[0])


def get_installed_path(package: str) -> str:
    """The folder of an installed package's module.

    Raises:
        FkitImportError: it is not installed.

    Example:
        >>> get_installed_path("numpy").endswith("numpy")
        True
    """
    expect(package, str, "`package` is the name of an installed package")
    name = package2module(package)
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise FkitImportError(f"{package!r} brings {name!r}, which is not there.")
    folders = list(spec.submodule_search_locations or ())
    return os.path.abspath(folders[0] if folders else str(spec.origin))


def _distribution(package: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(package)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise FkitImportError(f"The package {package!r} is not installed.", repair=f"pip install {package}") from None
