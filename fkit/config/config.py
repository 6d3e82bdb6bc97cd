"""The frozen config: a mapping with attribute access that merges, prints and fingerprints; and reading it from files.

The top of the room: it imports what its methods call, and nothing below imports it.
"""

import os
from typing import Any, NoReturn, Self, cast

from frozendict import frozendict

from fkit.config.change.delta import merge
from fkit.config.change.option import overrides
from fkit.config.change.override import apply_words
from fkit.config.origin import Meta, Setting, chain
from fkit.config.read.reader import Options, find_file, read_file, read_text
from fkit.config.read.trust import run_trusted
from fkit.config.show.explain import difference
from fkit.config.show.text import form_of, text, write
from fkit.tree import tree
from fkit.tree.absent import ABSENT
from fkit.tree.check import expect
from fkit.tree.error import FkitAttributeError, FkitTypeError, FkitValueError, quoted
from fkit.tree.node import Node, marks_of, meta_of
from fkit.tree.path import Path, parse, step

__all__ = ["Config", "load_config", "load_string"]


# names that OpenMMLab's scripts call on a config, and what is written here; a key of that name is found all the same
_ELSEWHERE = frozendict(
    merge_from_dict="cfg = cfg.merge({'model.depth': 18}) gives a changed copy.",
    _merge_a_into_b="cfg = cfg.merge(changes) gives a changed copy.",
    set="cfg = cfg.merge({'model.depth': 18}) gives a changed copy.",
    _cfg_dict="The config itself is the mapping; cfg.to_dict() gives plain dicts and lists.",
    deepcopy="A config never changes: it is a copy of its own.",
    auto_argparser="A script takes changes of any key by --cfg-options, with action=fkit.DictAction.",
    build_lazy="fkit.build makes objects of configs; names are opened there.",
)


class Config(Node):
    """A frozen, hashable config tree with attribute access.

    Args:
        cfg_dict: any mapping; nested mappings become Configs, lists frozen lists. Keys stay as they are. None: empty.
        cfg_text: the text that it was made of, which `cfg_text` gives back.
        filename: the file that it stands for.

    Raises:
        FkitTypeError: ``cfg_dict`` is no mapping, or one of the others no string.

    Example:
        >>> cfg = Config({"model": {"depth": 50, "stages": [1, 2]}})
        >>> cfg.model.depth, cfg["model"]["stages"], cfg.get("model.stages[1]")
        (50, [1, 2], 2)
        >>> cfg.merge({"model.depth": 18}).model.depth, cfg.model.depth
        (18, 50)
    """

    __slots__ = ()

    def __new__(
        cls, cfg_dict: Any = None, cfg_text: str | None = None, filename: str | os.PathLike[str] | None = None
    ) -> Self:
        cfg = super().__new__(cls, {} if cfg_dict is None else cfg_dict)
        if cfg_text is None and filename is None:
            return cfg
        expect(cfg_text, (str, type(None)), "`cfg_text` is the text of a config file")
        meta: Meta = meta_of(cfg) or Meta()
        file = meta.filename if filename is None else _path(filename, "`filename`")
        return cls.of(dict(cfg), marks_of(cfg), meta._replace(filename=file, text=cfg_text))

    def __missing__(self, key: Any) -> NoReturn:
        repair = _ELSEWHERE.get(key) if isinstance(key, str) else None
        if repair is not None:
            raise FkitAttributeError(f"A config has no {key!r}: it never changes.", value=key, repair=repair)
        super().__missing__(key)

    def get(self, path: Any, default: Any = None, /) -> Any:
        """The value at a dotted path, or ``default``.

        Raises:
            FkitTypeError: the path can be no key.

        Example:
            >>> Config({"a": [{"b": 1}]}).get("a.0.b"), Config({}).get("a.b", 7)
            (1, 7)
        """
        if not path or not isinstance(path, (str, tuple)):
            return dict.get(self, _hashable(path), default)
        node: Any = self
        try:
            keys: Path = parse(path) if isinstance(path, str) else path
        except FkitValueError:  # no path, but it may be a key all the same
            return dict.get(self, path, default)
        try:
            for key in keys:
                node = step(node, _hashable(key))
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
            form: "python" (lines up to 88), "yaml", "json" (tuples and other tagged values as in canonical),
                "canonical" (one line of tagged JSON), or "words" (what to write after ``--cfg-options``).

        Example:
            >>> print(Config({"model": {"type": "ResNet", "depth": 50}}).text("python"), end="")
            model = dict(type='ResNet', depth=50)
        """
        return text(self, form)

    @property
    def pretty_text(self) -> str:
        """The config as Python text."""
        return self.text("python")

    def dump(self, file: str | os.PathLike[str] | None = None) -> str | None:
        """Write the config to a file, whole or not at all; the suffix (.py, .yaml, .yml, .json) says how.

        Args:
            file: its path; None returns the text, in the format that the config was read from (Python where it was read
                from none), and writes nothing.

        Raises:
            FkitTypeError: ``file`` is no path.
            FkitOSError: another suffix, or a file that cannot be written; FkitFileNotFoundError: its folder is missing.

        Example:
            >>> Config.fromstring("a: 1", ".yaml").dump(), Config({"a": 1}).dump()
            ('{a: 1}\\n', 'a = 1\\n')
        """
        if file is None:
            meta: Meta | None = meta_of(self)
            form = (meta.form or form_of(meta.filename or "")) if meta is not None else None
            return self.text(form or "python")
        write(self, os.path.expanduser(_path(file, "`file`")))
        return None

    @staticmethod
    def diff(cfg1: "Config | str | os.PathLike[str]", cfg2: "Config | str | os.PathLike[str]") -> str:
        """What two configs do not share, a line for each path and side, with the place that set it.

        Args:
            cfg1: a config, or its file.
            cfg2: the other.

        Returns:
            lines that begin with ``-`` for what only the first has, with ``+`` for the second; empty where they are equal.

        Raises:
            FkitError: what is wrong with a file.

        Example:
            >>> print(Config.diff(Config({"a": 1, "b": 2}), Config({"a": 1, "b": 3})))
            - b = 2
            + b = 3
        """
        old, new = (cfg if isinstance(cfg, Config) else load_config(cfg) for cfg in (cfg1, cfg2))
        return difference(old, new)

    @property
    def fingerprint(self) -> str:
        """The sha256 hex digest of the canonical text with sorted keys."""
        return tree.fingerprint(self)

    @property
    def filename(self) -> str | None:
        """The file that the config was read from."""
        meta: Meta | None = meta_of(self)
        return meta.filename if meta is not None else None

    @property
    def cfg_text(self) -> str | None:
        """The text that the config was made with, where it was given one."""
        meta: Meta | None = meta_of(self)
        return meta.text if meta is not None else None

    @property
    def env_variables(self) -> dict[str, str]:
        """The environment variables that the files read, with the values they had."""
        meta: Meta | None = meta_of(self)
        return dict(meta.environment) if meta is not None else {}

    def origin(self, path: str | Path) -> str | None:
        """``file:line`` of who set the value at a path last, or None where it is not known."""
        settings = self.origins(path)
        return settings[0].place if settings else None

    def origins(self, path: str | Path) -> tuple[Setting, ...]:
        """Who set the value at a path, newest first: settings with ``place``, ``value`` and ``path``."""
        return chain(self, path)

    def to_dict(self, keep_imported: bool = False) -> dict[str, Any]:
        """The tree as plain, fresh dicts and lists; names that a config imported as ``module.Name``.

        Args:
            keep_imported: also the names that a new-style config imports, under the names they have there.

        Example:
            >>> cfg = Config.fromstring("from torch.nn import ReLU\\nact = dict(type=ReLU)")
            >>> cfg.to_dict(), cfg.to_dict(keep_imported=True)["ReLU"]
            ({'act': {'type': 'torch.nn.ReLU'}}, 'torch.nn.ReLU')
        """
        plain = tree.thaw(tree.map(_dotted, self))
        meta: Meta | None = meta_of(self)
        return {**dict(meta.imported), **plain} if keep_imported and meta is not None else plain

    @staticmethod
    def fromfile(
        filename: str | os.PathLike[str],
        use_predefined_variables: bool = True,
        import_custom_modules: bool = True,
        use_environment_variables: bool = True,
        lazy_import: bool | None = None,
        format_python_code: bool = True,
        *,
        trust: bool = False,
    ) -> "Config":
        """The config of a file: ``fkit.load_config`` under OpenMMLab's name, with its arguments.

        Args:
            filename: a .py, .yaml, .yml or .json file, or ``package::path`` of an installed package.
            use_predefined_variables: replace ``{{ fileBasename }}`` and its like.
            import_custom_modules: nothing, for reading a config imports nothing: a run imports its ``custom_imports``.
            use_environment_variables: replace ``{{$NAME:default}}``.
            lazy_import: whether the file is of the new style; None looks at it.
            format_python_code: nothing, for Python text is always laid out.
            trust: run the file as Python, in a process of its own, where it is more than data.

        Raises:
            FkitError: what is wrong, with file and line.
        """
        del import_custom_modules, format_python_code
        return load_config(
            filename,
            trust=trust,
            use_predefined_variables=use_predefined_variables,
            use_environment_variables=use_environment_variables,
            lazy_import=lazy_import,
        )

    @staticmethod
    def fromstring(cfg_str: str, file_format: str = ".py") -> "Config":
        """The config that a text holds; relative bases are looked for in the working folder.

        Args:
            cfg_str: the text of a config file.
            file_format: ".py", ".yaml", ".yml" or ".json".

        Raises:
            FkitOSError: another format.

        Example:
            >>> Config.fromstring("a = dict(b=(1, 2))").a.b
            (1, 2)
        """
        return load_string(cfg_str, file_format)

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
        path: a .py, .yaml, .yml or .json file, ``package::path`` of an installed package, or the name of a config that
            the kit ships (``digits/convnet``; `fkit configs` lists them), which a file of that name goes before.
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
    cfg = cast("Config", run_trusted(file, options, Config) if trust else read_file(file, options, Config))
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
    cfg = cast("Config", read_text(text, file_format, options, Config))
    return Config.of(dict(cfg), marks_of(cfg), meta_of(cfg)._replace(form=form_of(file_format.replace(".", "a.", 1))))


def _path(value: Any, what: str) -> str:
    expect(value, (str, os.PathLike), f"{what} is a path")
    return os.fsdecode(value)


def _hashable(key: Any) -> Any:
    try:
        hash(key)
    except TypeError:
        raise FkitTypeError(f"A path is a string such as 'model.depth', not {quoted(key, 60)}.") from None
    return key


def _dotted(leaf: Any) -> Any:
    return leaf.__lazy__() if hasattr(type(leaf), "__lazy__") else leaf
