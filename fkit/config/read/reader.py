"""Config files -> a frozen Config: .py (both styles), .yaml and .json, with all their bases."""

import ast
import os
import warnings
from typing import Any, NamedTuple

from fkit.config.change.delta import inheritance, merge
from fkit.config.config import Config, Meta
from fkit.config.language.budget import Budget
from fkit.config.language.imported import Module
from fkit.config.language.scope import Closure
from fkit.config.language.statement import evaluate
from fkit.config.language.value import Draft, link, settle
from fkit.config.read.document import parse_json, parse_yaml
from fkit.config.read.locate import base_file
from fkit.config.read.newstyle import is_newstyle, load_newstyle
from fkit.config.read.source import SUFFIXES, Source, read, restore, substitute, unquoted
from fkit.tree.error import FkitError, FkitKeyError, FkitOSError, FkitTypeError, FkitValueError
from fkit.tree.node import Items, marks_of

__all__ = ["load_config", "load_string", "parse_python"]

_parsed: dict[str, ast.Module] = {}  # the memo of parsed files, keyed by content
_MEMO = 256  # files kept


class Options(NamedTuple):
    """How files are read."""

    predefined: bool = True
    environment: bool = True
    newstyle: bool | None = None  # None: as the file looks


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
    file = os.fspath(path)
    if "::" in file:
        file = base_file(file, os.path.join(os.getcwd(), "_"), file)[0]
    if trust:
        from fkit.config.read.trust import run_trusted

        cfg = run_trusted(file)
    else:
        cfg = _load(file, options)
    if words:
        from fkit.config.change.override import apply_words

        cfg = apply_words(cfg, words)
    return cfg


def load_string(text: str, file_format: str = ".py", **options: Any) -> Config:
    """The config that a text holds; relative bases are looked for in the working folder.

    Raises:
        FkitOSError: another format than .py, .yaml, .yml and .json.
    """
    if file_format not in SUFFIXES:
        raise FkitOSError(f"{file_format!r} is no format of configs.", value=file_format, choices=SUFFIXES)
    if file_format != ".py" and "dict(" in text:
        warnings.warn(f"The text has `dict(`: is its format {file_format} and not .py?", stacklevel=2)
    reader = Reader(Options(**options), Budget())
    file = os.path.join(os.getcwd(), f"<string>{file_format}")
    return _finish(reader, None, lambda: reader.text(text, file, ()))


def _load(file: str, options: Options) -> Config:
    reader = Reader(options, Budget())
    absolute = os.path.abspath(os.path.expanduser(file))
    return _finish(reader, file, lambda: reader.file(absolute, ()))


def _finish(reader: "Reader", file: str | None, read_all: Any) -> Config:
    try:
        cfg: Config = read_all()
        reader.budget.hold(reader.budget.weigh(cfg))
    except RecursionError:
        raise FkitValueError("The config is nested too deeply.", origin=file) from None
    except MemoryError:
        raise FkitValueError("The config needs too much memory.", origin=file) from None
    except FkitError as error:
        error.origin = error.origin or file
        raise
    imported = tuple(sorted(reader.imported))
    return Config.of(dict(cfg), marks_of(cfg), Meta(file, tuple(reader.environment.items()), imported))


class Reader:
    """Reads one config with its bases.

    Args:
        options: how files are read.
        budget: what all of it may cost.
    """

    def __init__(self, options: Options, budget: Budget) -> None:
        self.options = options
        self.budget = budget
        self.environment: dict[str, str] = {}
        self.imported: set[str] = set()
        self.shared: dict[int, Config] = {}

    def file(self, file: str, chain: tuple[str, ...]) -> Config:
        """The config of a file, merged over its bases; ``chain`` is the files that led here."""
        if file in chain:
            raise FkitValueError(
                f"The bases go round in a circle: {' -> '.join([*chain[chain.index(file) :], file])}.", origin=chain[-1]
            )
        text = read(file)
        self.budget.file(len(text))
        return self.text(text, file, (*chain, file))

    def text(self, text: str, file: str, chain: tuple[str, ...]) -> Config:
        """The config of a text, merged over its bases."""
        name = shown(file)
        if len(chain) > 100:
            raise FkitValueError("The bases are more than 100 levels deep.", origin=name)
        if file.endswith(".py"):
            newstyle = self.options.newstyle
            if newstyle is None:
                newstyle = is_newstyle(parse_python(text, name), name)
            if newstyle:
                if len(chain) > 1:
                    raise FkitValueError(
                        "A base of the new style (`with read_base():`, imports) under a child of the old style.",
                        origin=name,
                        repair="All files of a chain must be of one style.",
                    )
                return self.newstyle(text, file)
        source = substitute(text, file, self.options.predefined, self.options.environment)
        self.environment.update(source.environment)
        if file.endswith(".py"):
            own, base = self.execute(source, file, chain)
        else:
            own, base = self._document(source, file, chain)
        if "_deprecation_" in own:
            _announce(own, file)
            own = _without(own, ["_deprecation_"])
        if source.has_base_variables:
            own = restore(own, base, name)
            self._keep_shared(base)
            self.budget.hold(self.budget.weigh(own))
        merged = merge(base, inheritance(own))
        if any(key.startswith("__") for key in merged):
            merged = _without(merged, [key for key in merged if key.startswith("__")])
        return merged

    def newstyle(self, text: str, file: str) -> Config:
        """The config of a new-style file."""
        cfg, imported = load_newstyle(text, file, self.budget)
        self.imported |= imported
        return cfg

    def bases_of(self, module: ast.Module, file: str, chain: tuple[str, ...]) -> tuple[Config, list[ast.stmt]]:
        """The union of a Python file's bases, and its other statements."""
        rest = [node for node in module.body if not _is_base(node)]
        if len(rest) == len(module.body):
            return Config.of({}), rest
        return self._bases(_base_paths(module, shown(file), self.budget), file, chain, _base_line(module)), rest

    def execute(self, source: Source, file: str, chain: tuple[str, ...]) -> tuple[Config, Config]:
        """What a Python file itself sets, and its bases (changed, where the file assigns to ``_base_.x``)."""
        name = shown(file)
        module = parse_python(source.text, name)
        base, rest = self.bases_of(module, file, chain)
        names = Draft()
        linked = None
        if "_base_" in source.text:
            linked = link(base)
            names["_base_"] = linked
        evaluate(rest, names, name, self.budget)
        known: dict[int, Any] = {}
        if linked is not None:
            names.pop("_base_", None)
            base = settle(linked, self.budget, Config, known)
            self._keep_shared(base)
        return settle(_kept(names), self.budget, Config, known), base

    def _keep_shared(self, base: Config) -> None:
        """Remember the mappings of a base that its child may hold too: OpenMMLab gives them one ``_scope_``."""
        stack: list[Any] = [base]
        while stack:
            top = stack.pop()
            if isinstance(top, Config):
                self.shared[id(top)] = top
                stack.extend(top.values())
            elif isinstance(top, (list, tuple)):
                stack.extend(top)

    def _document(self, source: Source, file: str, chain: tuple[str, ...]) -> tuple[Config, Config]:
        parse = parse_json if file.endswith(".json") else parse_yaml
        try:
            value = parse(source.text, shown(file), self.budget)
        except FkitError:
            if not source.has_base_variables:
                raise
            value = parse(unquoted(source.text), shown(file), self.budget)
        if not isinstance(value, dict):
            raise FkitTypeError(f"A config must be a mapping, this is a {type(value).__name__}.", origin=shown(file))
        for key in value:
            if not isinstance(key, str):
                raise FkitTypeError(f"The top-level key {key!r} is no string.", origin=shown(file))
        paths = value.pop("_base_", [])
        if not isinstance(paths, list):
            paths = [paths]
        base = self._bases(paths, file, chain, 0)
        return settle(value, self.budget, Config), base

    def _bases(self, paths: list[Any], file: str, chain: tuple[str, ...], line: int) -> Config:
        """The union of the bases, in which no key may come twice."""
        items: dict[str, Any] = {}
        marks: dict[str, Any] = {}
        place = f"{shown(file)}:{line}" if line else shown(file)
        for path in paths:
            found, scope = base_file(path, file, place)
            try:
                cfg = self.file(os.path.abspath(os.path.expanduser(found)), chain or (file,))
            except FkitError as error:
                error.origin = error.origin or place
                raise
            twice = sorted(items.keys() & cfg.keys())
            if twice:
                raise FkitKeyError(
                    f"The bases have keys in common: {', '.join(twice)}.",
                    origin=place,
                    repair="A key may come from one base only; move it, or make one base the child of the other.",
                )
            if scope is not None:
                cfg = _scoped(cfg, scope, self.shared, {})
            items.update(cfg)
            marks.update(marks_of(cfg) or {})
        return Config.of(items, marks or None)


def shown(file: str) -> str:
    """A file's name for people: relative where it is below the working folder."""
    here = os.getcwd() + os.sep
    return file[len(here) :] if file.startswith(here) else file


def parse_python(text: str, file: str) -> ast.Module:
    """The AST of a Python text, remembered by content.

    Raises:
        FkitValueError: no Python, or nested too deeply.
    """
    found = _parsed.get(text)
    if found is not None:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in a config is Python's affair
            module = ast.parse(text)
    except SyntaxError as error:
        raise FkitValueError(f"This is no Python: {error.msg}.", origin=f"{file}:{error.lineno or 1}") from None
    except MemoryError:
        raise FkitValueError("This Python is too long, or nested too deeply.", origin=file) from None
    except (ValueError, RecursionError, OverflowError) as error:
        raise FkitValueError(
            f"This is no Python that can be read: {str(error) or 'it is nested too deeply'}.", origin=file
        ) from None
    if len(text) <= 100_000:
        if len(_parsed) >= _MEMO:
            _parsed.pop(next(iter(_parsed)), None)
        _parsed[text] = module
    return module


def _is_base(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_base_"


def _base_line(module: ast.Module) -> int:
    return next((node.lineno for node in module.body if _is_base(node)), 0)


def _base_paths(module: ast.Module, file: str, budget: Budget) -> list[Any]:
    """What ``_base_ = ...`` says, evaluated alone: it sees no other name of the file."""
    node = next((node for node in module.body if _is_base(node)), None)
    if node is None:
        return []
    value: Any = node.value  # type: ignore[attr-defined]
    if isinstance(value, ast.Constant):
        return [value.value]
    if isinstance(value, ast.List) and all(isinstance(item, ast.Constant) for item in value.elts):
        return [item.value for item in value.elts]  # type: ignore[attr-defined]
    name = ast.copy_location(ast.Name("_base_", ast.Store()), node)
    alone = ast.copy_location(ast.Assign([name], node.value), node)  # type: ignore[attr-defined]
    value = evaluate([alone], Draft(), file, budget)["_base_"]
    return value if isinstance(value, list) else [value]


def _kept(names: Draft) -> Draft:
    """What of the names is the config's: no modules, no functions, no private ones."""
    gone = [key for key, value in names.items() if key.startswith("__") or _is_code(value)]
    for key in gone:
        del names[key]
        names.marks.pop(key, None)
    return names


def _is_code(value: Any) -> bool:
    # functions written in Python go, as OpenMMLab drops them; those written in C stay, as there
    return isinstance(value, (Closure, Module)) or type(value).__name__ == "function"


def _without(cfg: Config, keys: list[str]) -> Config:
    marks = {k: m for k, m in (marks_of(cfg) or {}).items() if k not in keys}
    return Config.of({k: v for k, v in cfg.items() if k not in keys}, marks or None)


def _announce(own: Config, file: str) -> None:
    """Warn of a config that announces its end."""
    told = own["_deprecation_"]
    message = f"The config file {file} will be deprecated in the future."
    if isinstance(told, dict) and "expected" in told:
        message += f" Please use {told['expected']} instead."
    if isinstance(told, dict) and "reference" in told:
        message += f" More information can be found at {told['reference']}"
    warnings.warn(message, DeprecationWarning, stacklevel=6)


def _scoped(value: Any, scope: str, shared: dict[int, Config], told: dict[int, Config], outermost: bool = True) -> Any:
    """The outermost mappings with a ``type``, told which package they are of; what is shared is told once for all."""
    if isinstance(value, Config):
        if id(value) in told:
            return told[id(value)]
        typed = outermost and "type" in value
        items = (
            {k: _scoped(v, scope, shared, told, outermost and not typed) for k, v in value.items()}
            if shared or not typed
            else dict(value)
        )
        if typed and dict.get(value, "_scope_") is None:
            items["_scope_"] = scope
        made = Config.of(items, marks_of(value))
        if typed and id(value) in shared:
            told[id(value)] = made
        return made
    if isinstance(value, list):
        return Items([_scoped(v, scope, shared, told, outermost) for v in value])
    if isinstance(value, tuple):
        return tuple(_scoped(v, scope, shared, told, outermost) for v in value)
    return value
