"""Where the bases of a config are: beside it, in an installed package (``mmdet::path``), or with the kit (``fkit::path``)."""

import importlib.machinery
import importlib.util
import os
import re
import sys
from typing import Any

from frozendict import frozendict

from fkit.config.read.document import plain_yaml
from fkit.config.read.shelf import config_names, shelf_file
from fkit.config.read.source import read
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitImportError, FkitValueError
from fkit.tree.place import refuse_url

__all__ = ["base_file", "module_file", "package_folder"]

# scope -> package, where they differ
_PACKAGES: frozendict[str, str] = frozendict(mmseg="mmsegmentation", mmaction="mmaction2")
_SCOPES = (
    "mmcls mmdet mmdet3d mmseg mmaction mmtrack mmpose mmedit mmocr mmgen mmfewshot mmrazor mmflow mmhuman3d mmrotate "
    "mmselfsup mmyolo mmpretrain mmagic"
)
_EXTERNAL = re.compile(r"\w*::\w*/\w*")


def base_file(path: Any, file: str, place: str) -> tuple[str, str | None]:
    """The file of a base, and the scope that its parts get (None for one beside its child).

    Args:
        path: what ``_base_`` says.
        file: the file that says it.
        place: ``file:line`` for errors.

    Raises:
        FkitError: no path, an unknown package, or one that is not installed.
    """
    if not isinstance(path, str):
        raise FkitValueError(f"_base_ must be a path or a list of paths, got {path!r:.80}.", origin=place)
    if "::" not in path:
        refuse_url(path, "a config", place)
        return os.path.join(os.path.dirname(file), os.path.expanduser(path)), None
    scope, _, inside = path.partition("::")
    if scope == "fkit":
        return _shipped(path, inside, place), None
    if _EXTERNAL.match(path) is None or "::" in inside:
        raise FkitValueError(
            f"The base {path!r} is no package and path.", origin=place, repair="Write 'mmdet::folder/file.py'."
        )
    if scope not in _SCOPES.split():
        raise FkitValueError(
            f"The base {path!r} names an unknown package.",
            origin=place,
            value=scope,
            choices=("fkit", *_SCOPES.split()),
        )
    # an import finds mmseg where pip calls it mmsegmentation
    folder = package_folder(scope, place) or package_folder(_PACKAGES.get(scope, scope), place)
    if folder is None:
        package = _PACKAGES.get(scope, scope)
        raise FkitImportError(f"The base {path!r} wants the package {package}, which is not installed.", origin=place)
    try:
        return _inside(folder, inside), scope
    except FkitError as error:
        error.origin = error.origin or place
        raise


def _shipped(path: str, inside: str, place: str) -> str:
    """The file of ``fkit::digits/convnet.py``, a config that the kit ships."""
    file = shelf_file(inside)
    if file is None:
        raise FkitFileNotFoundError(
            f"The base {path!r} is none of the configs that fkit ships.",
            origin=place,
            value=inside.removesuffix(".py"),
            choices=config_names(),
            label="Shipped",
            more="fkit configs",
        )
    return file


def package_folder(name: str, place: str) -> str | None:
    """The folder of an installed package, found without importing it."""
    if not name.isidentifier():
        return None
    spec = importlib.machinery.PathFinder.find_spec(name, sys.path)
    if spec is None:
        try:
            spec = importlib.util.find_spec(name)  # an editable install has a finder of its own
        except (ImportError, ValueError, AttributeError):
            return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return next(iter(spec.submodule_search_locations))


def _inside(folder: str, path: str) -> str:
    """A config of a package: where its index of models says, else below its folder of configs."""
    stem = path.split(".")[0]
    index_file = os.path.join(folder, ".mim", "model-index.yml")
    listed = _entries(index_file, read(index_file), "Import") if os.path.exists(index_file) else ()
    for name in listed:
        meta_file = os.path.join(folder, ".mim", str(name))
        text = read(meta_file)
        if stem not in text:
            continue
        for model in _entries(meta_file, text, "Models"):
            config = model.get("Config") if isinstance(model, dict) else None
            if isinstance(config, str) and config.partition("/")[2] == stem:  # written without the suffix
                return _existing(os.path.join(folder, config))
    return _existing(os.path.join(folder, ".mim", "configs", path))


def _entries(file: str, text: str, key: str) -> list[Any]:
    """The list at a key of a package's index; empty where there is none."""
    value = plain_yaml(text, file)
    entries = value.get(key, []) if isinstance(value, dict) else []
    if not isinstance(entries, list):
        raise FkitValueError(f"{key} is no list in the index of a package.", origin=file)
    return entries


def _existing(file: str) -> str:
    if not os.path.isfile(file):
        raise FkitFileNotFoundError(f"There is no config file {file}.")
    return file


def module_file(module: str, file: str, place: str) -> str:
    """The file of a module that ``with read_base():`` imports, relative or absolute.

    Raises:
        FkitError: an unknown package, or no such file.
    """
    level = len(module) - len(module.lstrip("."))
    if level:
        folder = os.path.join(os.path.dirname(file), *[".."] * (level - 1))
        path = os.path.join(folder, module[level:].replace(".", "/") + ".py")
    else:
        package, _, inside = module.partition(".")
        if not inside:
            raise FkitValueError(f"A base must be a module inside of a package, not {module!r}.", origin=place)
        root = package_folder(package, place)
        if root is None:
            raise FkitImportError(
                f"The base {module!r} wants the package {package}, which is not installed.", origin=place
            )
        path = os.path.join(root, *inside.split(".")) + ".py"
    if not os.path.isfile(path):
        raise FkitFileNotFoundError(f"There is no base {module!r}: no file {path}.", origin=place)
    return os.path.normpath(path)
