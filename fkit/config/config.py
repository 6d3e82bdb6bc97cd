"""The frozen config: a mapping with attribute access that merges, prints and fingerprints; and reading it from files.

The top of the room: it imports what its methods call, and nothing below imports it.
"""

import os
from typing import Any, Self, cast

from fkit.config.change.delta import merge
from fkit.config.change.option import overrides
from fkit.config.change.override import apply_words
from fkit.config.origin import Setting, chain
from fkit.config.read.reader import Options, find_file, read_file, read_text
from fkit.config.read.trust import run_trusted
from fkit.config.show.text import text, write
from fkit.tree import tree
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitValueError
from fkit.tree.node import Node, meta_of
from fkit.tree.path import Path, parse, step

__all__ = ["Config", "load_config", "load_string"]


class Config(Node):
    """A frozen, hashable config tree with attribute access.

    Args:
        content: any mapping; nested mappings become Configs, lists frozen lists. Keys stay as they are.

    Raises:
        FkitTypeError: ``content`` is no mapping.

    Example:
        >>> cfg = Config({"model": {"depth": 50, "stages": [1, 2]}})
        >>> cfg.model.depth, cfg["model"]["stages"], cfg.get("model.stages.1")
        (50, [1, 2], 2)
        >>> cfg.merge({"model.depth": 18}).model.depth, cfg.model.depth
        (18, 50)
    """

    __slots__ = ()

    def get(self, path: Any, default: Any = None, /) -> Any:
        """The value at a dotted path, or ``default``.

        Example:
            >>> Config({"a": [{"b": 1}]}).get("a.0.b"), Config({}).get("a.b", 7)
            (1, 7)
        """
        if not isinstance(path, (str, tuple)):
            return dict.get(self, path, default)
        node: Any = self
        try:
            keys: Path = parse(path) if isinstance(path, str) else path
        except FkitValueError:  # no path, but it may be a key all the same
            return dict.get(self, path, default)
        try:
            for key in keys:
                node = step(node, key)
        except (KeyError, IndexError):
            return default
        return node

    def pop(self, path: Any, default: Any = ABSENT, /) -> tuple[Self, Any]:
        """The config without what is at the path, and that value.

        Returns:
            (rest, value); with a default, (self, default) where nothing is there.

        Raises:
            FkitAttributeError, FkitIndexError: nothing is there, and no default was given.

        Example:
            >>> rest, value = Config({"a": 1, "b": 2}).pop("a")
            >>> dict(rest), value
            ({'b': 2}, 1)
            >>> Config({"a": 1}).pop("b", None)[1] is None
            True
        """
        keys: Path = parse(path) if isinstance(path, str) else (path,)
        try:
            value = tree.get(self, keys)
        except (KeyError, IndexError):
            if default is ABSENT:
                raise
            return self, default
        return tree.drop(self, keys), value

    def merge(self, delta: Any = (), /, *, allow_list_keys: bool = True, source: str = "merge()") -> Self:
        """A new config with the changes; neither argument is touched, and what does not change is shared.

        Args:
            delta: a ``Delta``, or a mapping as mmengine's ``merge_from_dict`` takes it: dots in its top-level keys
                lead down, digits select items of lists, ``_delete_=True`` replaces a mapping whole.
            allow_list_keys: whether digits select items of lists.
            source: what origins name as the place of the change.

        Raises:
            FkitTypeError: a mapping over something that is none.
            FkitKeyError: an index beyond its list.

        Example:
            >>> cfg = Config({"model": {"type": "A", "depth": 1}, "l": [{"k": 1}]})
            >>> cfg.merge({"model": {"_delete_": True, "type": "B"}, "l.0.k": 2}).text("canonical")
            '{"model": {"type": "B"}, "l": [{"k": 2}]}'
        """
        return merge(self, overrides(delta, type(self), allow_list_keys=allow_list_keys, source=source))

    def text(self, form: str = "python") -> str:
        """The config as text.

        Args:
            form: "python" (lines up to 88), "yaml", "json" (tuples and other tagged values as in canonical), or
                "canonical" (one line of tagged JSON).

        Example:
            >>> print(Config({"model": {"type": "ResNet", "depth": 50}}).text("python"), end="")
            model = dict(type='ResNet', depth=50)
        """
        return text(self, form)

    @property
    def pretty_text(self) -> str:
        """The config as Python text."""
        return self.text("python")

    def dump(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """Write the config to a file, whole or not at all; the suffix (.py, .yaml, .yml, .json) says how.

        Args:
            path: the file; None returns the Python text, and writes nothing.

        Raises:
            FkitOSError: another suffix, or a folder that cannot be written to.
        """
        if path is None:
            return self.pretty_text
        write(self, os.fspath(path))
        return None

    @property
    def fingerprint(self) -> str:
        """The sha256 hex digest of the canonical text with sorted keys."""
        return tree.fingerprint(self)

    @property
    def filename(self) -> str | None:
        """The file that the config was read from."""
        return meta_of(self).filename if meta_of(self) is not None else None

    @property
    def env_variables(self) -> dict[str, str]:
        """The environment variables that the files read, with the values they had."""
        return dict(meta_of(self).environment) if meta_of(self) is not None else {}

    def origin(self, path: str | Path) -> str | None:
        """``file:line`` of who set the value at a path last, or None where it is not known."""
        settings = self.origins(path)
        return settings[0].place if settings else None

    def origins(self, path: str | Path) -> tuple[Setting, ...]:
        """Who set the value at a path, newest first: a tuple of (place, value, path)."""
        return chain(self, path)

    def to_dict(self) -> dict[str, Any]:
        """The tree as plain, fresh dicts and lists."""
        return tree.thaw(self)

    @staticmethod
    def fromfile(path: str | os.PathLike[str], **options: Any) -> "Config":
        """The config of a file: ``fkit.load_config`` under OpenMMLab's name."""
        return load_config(path, **options)

    @staticmethod
    def fromstring(text: str, file_format: str = ".py", **options: Any) -> "Config":
        """The config that a text holds; relative bases are looked for in the working folder.

        Args:
            text: the text of a config file.
            file_format: ".py", ".yaml", ".yml" or ".json".

        Raises:
            FkitOSError: another format.

        Example:
            >>> Config.fromstring("a = dict(b=(1, 2))").a.b
            (1, 2)
        """
        return load_string(text, file_format, **options)

    def __repr__(self) -> str:
        if self.filename is not None:
            return f"Config (path: {self.filename}): {dict.__repr__(self)}"
        return dict.__repr__(self)


def load_config(
    path: str | os.PathLike[str],
    *words: str,
    trust: bool = False,
    use_predefined_variables: bool = True,
    use_environment_variables: bool = True,
    lazy_import: bool | None = None,
) -> Config:
    """The config of a file and its bases, with command-line words merged in. Nothing of it is executed.

    Args:
        path: a .py, .yaml, .yml or .json file, or ``package::path`` of an installed package.
        words: ``key=value`` as after ``--cfg-options``; ``key:=value`` declares a new key, or changes a type.
        trust: run the file as Python, in a process of its own, where it is more than data.
        use_predefined_variables: replace ``{{ fileBasename }}`` and its like.
        use_environment_variables: replace ``{{$NAME:default}}``.
        lazy_import: whether the file is of the new style; None looks at it.

    Raises:
        FkitError: what is wrong, with file and line.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "a.py")
        ...     _ = file.write_text("model = dict(depth=50)")
        ...     load_config(file, "model.depth=18").model.depth
        18
    """
    options = Options(use_predefined_variables, use_environment_variables, lazy_import)
    file = find_file(path)
    cfg = cast("Config", run_trusted(file, Config) if trust else read_file(file, options, Config))
    return apply_words(cfg, words) if words else cfg


def load_string(
    text: str,
    file_format: str = ".py",
    *,
    use_predefined_variables: bool = True,
    use_environment_variables: bool = True,
    lazy_import: bool | None = None,
) -> Config:
    """The config that a text holds; relative bases are looked for in the working folder.

    Args:
        text: the text of a config file.
        file_format: ".py", ".yaml", ".yml" or ".json".
        use_predefined_variables: as of `load_config`.
        use_environment_variables: as of `load_config`.
        lazy_import: as of `load_config`.

    Raises:
        FkitOSError: another format.
        FkitError: what is wrong, with the line.
    """
    options = Options(use_predefined_variables, use_environment_variables, lazy_import)
    return cast("Config", read_text(text, file_format, options, Config))
