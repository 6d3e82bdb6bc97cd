"""What this machine and its packages are: for a run's record, and for the report of a fault."""

import getpass
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from frozendict import frozendict

from fkit.array import room
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitImportError
from fkit.tree.version import __version__

__all__ = ["collect_env", "fkit_version", "get_git_hash", "get_host_info", "get_time_str", "package_version"]

# the rows that stand first, in the order that OpenMMLab's users know
_PACKAGES = (
    ("PyTorch", ("torch",)),
    ("TorchVision", ("torchvision",)),
    ("OpenCV", ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")),
    ("JAX", ("jax",)),
    ("jaxlib", ("jaxlib",)),
    ("flax", ("flax",)),
    ("optax", ("optax",)),
    ("numpy", ("numpy",)),
)
_NO_ROWS: Mapping[str, str] = frozendict[str, str]()
_SECONDS = 20.0  # what a compiler or git may take to say its version


def collect_env(frameworks: bool = True) -> dict[str, str]:
    """The platform, Python, compilers, frameworks, devices and packages, as rows of words.

    Args:
        frameworks: ask the frameworks that are installed for their devices and build, which imports them; without,
            only what package metadata and commands say.

    Returns:
        {row: value}: sys.platform, Python, CUDA available, GPU n, CUDA_HOME, NVCC, GCC, MSVC, PyTorch, PyTorch
        compiling details, TorchVision, OpenCV, JAX, jaxlib, flax, optax, JAX devices, fkit. "n/a" stands for what is
        not installed.

    Example:
        >>> env = collect_env(frameworks=False)
        >>> import sys
        >>> env["sys.platform"] == sys.platform, env["fkit"].startswith(fkit_version().split("+")[0])
        (True, True)
    """
    rows = {"sys.platform": sys.platform, "Python": sys.version.replace("\n", "")}
    torch, jax = (_asked(name) if frameworks else _NO_ROWS for name in ("torch", "jax"))
    if frameworks:
        rows["CUDA available"] = torch.get("CUDA available", "n/a")
        rows |= {name: value for name, value in torch.items() if name.startswith("GPU ")}
    home = _cuda_home()
    rows["CUDA_HOME"] = home or "n/a"
    rows["NVCC"] = _nvcc(home)
    rows["GCC"] = _first_line(("gcc", "--version"))
    rows["MSVC"] = _msvc()
    for title, names in _PACKAGES:
        rows[title] = next((text for name in names if (text := package_version(name))), "n/a")
        if title == "PyTorch":  # its build stands below it, and its own word on its version is the exact one
            rows |= {name: value for name, value in torch.items() if name not in rows or name == "PyTorch"}
    known = {name.lower() for name in rows}
    rows |= {name: value for name, value in jax.items() if name.lower() not in known}
    rows["fkit"] = fkit_version()
    return rows


def _asked(name: str) -> Mapping[str, str]:
    """A framework's own rows; none where it is not installed, and the error where it does not import."""
    if package_version(name) is None:
        return _NO_ROWS
    try:
        return room.open(name).environment()
    except (FkitImportError, ImportError, OSError) as error:  # a broken install is what this report is for
        return {f"{name} does not import": str(error).replace("\n", " ")}


def package_version(name: str) -> str | None:
    """An installed package's version from its metadata, without importing it; None where it is not installed.

    Example:
        >>> package_version("numpy") is not None, package_version("no-such-package")
        (True, None)
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def fkit_version() -> str:
    """fkit's version, with the git hash of its checkout where it lies in one: ``0.1.0+240d7a3``.

    Example:
        >>> fkit_version()[0].isdigit()
        True
    """
    # an installed package inside somebody's repository is no checkout of fkit: that one has its project file above it
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file() or not (root / ".git").exists():
        return __version__
    text = get_git_hash(fallback="", digits=7, cwd=root)
    return f"{__version__}+{text}" if text else __version__


def get_git_hash(
    fallback: str = "unknown", digits: int | None = None, cwd: str | os.PathLike[str] | None = None
) -> str:
    """The commit of a git checkout.

    Args:
        fallback: the answer where there is no checkout, or no git.
        digits: how many digits; None gives all 40.
        cwd: a folder in it; None is the current one.

    Raises:
        FkitTypeError: ``fallback`` is no text, ``digits`` no whole number, ``cwd`` no path.

    Example:
        >>> get_git_hash(fallback="none", cwd="/")
        'none'
    """
    expect(fallback, str, "`fallback` is a text")
    if digits is not None:
        expect_number(digits, "`digits`", whole=True)
    if cwd is not None:
        expect(cwd, (str, os.PathLike), "`cwd` is the path of a folder")
    text = _said(("git", "rev-parse", "HEAD"), cwd=cwd).strip()
    return text[:digits] if re.fullmatch(r"[0-9a-f]{40,64}", text) else fallback


def get_host_info() -> str:
    """``user@host``.

    Example:
        >>> "@" in get_host_info()
        True
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user that has no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def get_time_str(now: float | None = None) -> str:
    """The local time as ``YYYYmmdd_HHMMSS``.

    Args:
        now: seconds since the epoch; None is now.

    Example:
        >>> len(get_time_str(0.0))
        15
    """
    if now is not None:
        expect_number(now, "now")
    return time.strftime("%Y%m%d_%H%M%S", time.localtime(now))


def _said(command: tuple[str, ...], cwd: str | os.PathLike[str] | None = None) -> str:
    """What a command prints; nothing where it is missing or fails."""
    # git answers in the user's language otherwise
    environment = {**os.environ, "LANGUAGE": "C", "LANG": "C", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, cwd=cwd, env=environment, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", errors="replace")


def _first_line(command: tuple[str, ...]) -> str:
    lines = _said(command).strip().splitlines()
    return lines[0].strip() if lines else "n/a"


def _cuda_home() -> str | None:
    named = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    if named:
        return named
    compiler = shutil.which("nvcc")
    if compiler:
        return str(Path(compiler).resolve().parents[1])
    return "/usr/local/cuda" if Path("/usr/local/cuda").is_dir() else None


def _nvcc(home: str | None) -> str:
    if home is None:
        return "n/a"
    answer = _said((os.path.join(home, "bin", "nvcc"), "-V"))
    text = re.search(r"^.*release .*$", answer, re.MULTILINE)
    return text.group(0).strip() if text else "n/a"


def _msvc() -> str:
    """The compiler that built this Python on Windows, as Python itself tells."""
    text = platform.python_compiler()
    return text if text.startswith("MSC") else "n/a"
