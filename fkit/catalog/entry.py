"""One entry of a registry: a maker, eager or lazy, and what a build must know about it."""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypeAlias, cast, get_args

from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.name import open_name

__all__ = ["PART_KIND", "Built", "Entry", "Lazy", "Maker", "Recipe", "entry_of", "recipe_of"]

Maker: TypeAlias = Callable[..., Any]

PART_KIND = "__fkit_kind__"
"""The attribute of a class that parts of one's own are derived from (fkit.Hook): of which kind they are."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """A maker by name: ``"module:attribute"``, imported when it is called.

    Example:
        >>> Lazy("math:sqrt")(9.0)
        3.0
    """

    target: str

    def load(self) -> Maker:
        """The maker itself.

        Raises:
            FkitImportError: the module cannot be imported.
            FkitAttributeError: it has no such attribute.
        """
        return open_name(self.target)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.load()(*args, **kwargs)


@dataclass(frozen=True)
class Built:
    """``fkit.Built["models"]`` as an annotation: the parameter's config is built before the maker is called.

    A mapping becomes the part, a list a list of parts; None and what is built already stay as they are.

    Example:
        >>> from fkit.catalog.registry import Registry
        >>> def net(backbone: Built["models"]): return ("net", backbone)
        >>> reg = Registry().register("models", net).register("models", dict, name="ResNet")
        >>> reg.build("models", {"type": "net", "backbone": {"type": "ResNet", "depth": 18}})
        ('net', {'depth': 18})
    """

    kind: str

    def __class_getitem__(cls, kind: str) -> Any:
        return Annotated[Any, cls(kind)]


class Recipe(NamedTuple):
    """How a maker is called: itself, whether it takes ``build``, and its parameters that are built before."""

    call: Maker
    wants_build: bool
    built: tuple[tuple[str, str], ...]  # (parameter, kind)


@dataclass(frozen=True)
class Entry:
    """A maker under one name of one kind and scope, for one backend or any (None)."""

    kind: str
    name: str
    scope: str
    backend: str | None
    maker: Maker | Lazy
    deprecated: str | None = None
    # worked out at the first build; it follows from the maker, so it counts neither in equality nor in a pickle
    memo: Recipe | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def recipe(self) -> Recipe:
        """How to call the maker; imports it when it is lazy."""
        recipe = self.memo
        if recipe is None:
            recipe = recipe_of(self.maker.load() if isinstance(self.maker, Lazy) else self.maker)
            object.__setattr__(self, "memo", recipe)
        return recipe

    @property
    def where(self) -> str:
        """``module:qualname`` of the maker, without importing it."""
        if isinstance(self.maker, Lazy):
            return self.maker.target
        named = cast(Any, self.maker)
        module = getattr(named, "__module__", None) or type(named).__module__
        return f"{module}:{getattr(named, '__qualname__', None) or type(named).__qualname__}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Entry, (self.kind, self.name, self.scope, self.backend, self.maker, self.deprecated)


def entry_of(
    kind: str,
    maker: Maker | str,
    name: str | Iterable[str] | None,
    scope: str,
    backend: str | None,
    deprecated: str | None = None,
) -> tuple[Entry, ...]:
    """The entries of one registration: one a name; checks what a user may get wrong.

    Example:
        >>> [entry.name for entry in entry_of("models", dict, ("Net", "OldNet"), "fkit", None)]
        ['Net', 'OldNet']
    """
    expect(kind, str, "`kind` is a word such as 'models'")
    if not kind:
        raise FkitValueError("`kind` is a word such as 'models', and is empty.")
    expect(scope, str, "`scope` is a word")
    for label, word in (("backend", backend), ("deprecated", deprecated)):
        expect(word, (str, type(None)), f"`{label}` is a string or None")
    if isinstance(maker, str):
        module, _, attribute = maker.partition(":")
        if not (module and attribute):
            raise FkitValueError(f"A lazy entry is 'module:attribute', not {maker!r}.")
        maker = Lazy(maker)
    if not callable(maker):
        raise FkitTypeError(f"A maker of {kind!r} is a class, a function or 'module:attribute', not {quoted(maker)}.")
    if name is None:
        word: Any = (
            maker.target.rpartition(":")[2].rpartition(".")[2]
            if isinstance(maker, Lazy)
            else getattr(cast(Any, maker), "__name__", None)
        )
        if word is None:
            raise FkitTypeError(f"{quoted(maker)} has no name of its own.", repair="Pass name=...")
        name = (cast(str, word),)
    return tuple(Entry(kind, word, scope, backend, maker, deprecated) for word in _names(kind, name))


def _names(kind: str, name: str | Iterable[str]) -> tuple[str, ...]:
    several = not isinstance(name, str) and isinstance(cast(Any, name), Iterable)
    names = cast("tuple[Any, ...]", tuple(name) if several else (name,))
    if not names or not all(isinstance(word, str) for word in names):
        raise FkitTypeError(f"A name in {kind!r} is a string, or several; got {quoted(name)}.")
    for word in names:
        if not word:
            raise FkitValueError(f"A name in {kind!r} is empty.")
        if "." in word:
            scope, _, last = word.rpartition(".")
            raise FkitValueError(
                f"{word!r} is no name for {kind!r}: a dot separates a scope from a name.",
                repair=f"Register {last!r} with scope={scope!r}." if scope and last else "",
            )
    return names


def recipe_of(maker: Maker) -> Recipe:
    """Read a maker's signature: does it take ``build``, and which parameters are `Built`?"""
    try:
        parameters = _parameters(maker)
    except (ValueError, TypeError):  # a builtin without a signature
        return Recipe(maker, False, ())
    build = parameters.get("build")
    built = ((name, built_kind(parameter.annotation)) for name, parameter in parameters.items())
    return Recipe(
        maker,
        build is not None and build.kind is inspect.Parameter.KEYWORD_ONLY,
        tuple((name, kind) for name, kind in built if kind is not None),
    )


def _parameters(maker: Maker) -> dict[str, inspect.Parameter]:
    """The parameters of a maker; of a class whose ``__init__`` hands ``**kwargs`` on, those of the classes it is derived
    from too."""
    parameters = dict(inspect.signature(maker).parameters)
    for base in maker.__mro__[1:-1] if isinstance(maker, type) else ():
        if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            break
        if "__init__" in vars(base):
            mine = {name: one for name, one in parameters.items() if one.kind is not one.VAR_KEYWORD}
            parameters = {**inspect.signature(base).parameters, **mine}
    return parameters


def built_kind(annotation: Any) -> str | None:
    """The kind that an annotation names with `Built`: as an object, inside a union, or as source text."""
    if isinstance(annotation, str):
        # text, under `from __future__ import annotations`; read, not evaluated: the name may be imported for types only
        match = re.search(r"\bBuilt\[\s*['\"]?(\w+)['\"]?\s*\]", annotation)
        return match.group(1) if match else None
    for part in (*getattr(annotation, "__metadata__", ()), *get_args(annotation)):
        if isinstance(part, Built):
            return part.kind
        if kind := (built_kind(part) if get_args(part) else None):
            return kind
    return None
