"""One entry of a registry: a maker, eager or lazy, and what a build must know about it."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypeAlias, cast, get_args

from fkit.tree.error import FkitImportError, FkitTypeError, FkitValueError

__all__ = ["Built", "Entry", "Lazy", "Maker", "Recipe", "entry_of", "recipe_of"]

Maker: TypeAlias = Callable[..., Any]


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
            FkitImportError: the module cannot be imported, or has no such attribute.
        """
        module, _, attribute = self.target.partition(":")
        found: Any = sys.modules.get(module)
        try:
            if found is None or not hasattr(found, attribute.partition(".")[0]):  # a module half imported
                found = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            raise FkitImportError(
                f"{self.target} cannot be imported: {error}.",
                repair=f"Install the package that offers {missing!r}." if missing else "",
            ) from error
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.load()(*args, **kwargs)


@dataclass(frozen=True)
class Built:
    """``fkit.Built["models"]`` as an annotation: the parameter's config is built before the maker is called.

    A mapping becomes the part, a list a list of parts; None and what is built already stay as they are.

    Example:
        >>> from fkit.registry.registry import Registry
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
    known: Recipe | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def recipe(self) -> Recipe:
        """How to call the maker; imports it when it is lazy."""
        known = self.known
        if known is None:
            known = recipe_of(self.maker.load() if isinstance(self.maker, Lazy) else self.maker)
            object.__setattr__(self, "known", known)
        return known

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
    """The entries of one registration: one a name; checks what a user may get wrong."""
    if isinstance(maker, str):
        module, _, attribute = maker.partition(":")
        if not (module and attribute):
            raise FkitValueError(f"A lazy entry is 'module:attribute', not {maker!r}.")
        maker = Lazy(maker)
    if not callable(maker):
        raise FkitTypeError(f"A maker of {kind!r} is a class, a function or 'module:attribute', not {maker!r}.")
    if name is None:
        own: Any = maker.target.rpartition(":")[2] if isinstance(maker, Lazy) else getattr(maker, "__name__", None)
        if own is None:
            raise FkitTypeError(f"{maker!r} has no name of its own.", repair="Pass name=...")
        name = (cast(str, own),)
    several = not isinstance(name, str) and isinstance(cast(Any, name), Iterable)
    names = cast("tuple[Any, ...]", tuple(name) if several else (name,))
    if not all(isinstance(word, str) for word in names):
        raise FkitTypeError(f"A name in {kind!r} is a string, or several; got {name!r}.")
    return tuple(Entry(kind, word, scope, backend, maker, deprecated) for word in names)


def recipe_of(maker: Maker) -> Recipe:
    """Read a maker's signature: does it take ``build``, and which parameters are `Built`?"""
    try:
        parameters = inspect.signature(maker).parameters
    except (ValueError, TypeError):  # a builtin without a signature
        return Recipe(maker, False, ())
    build = parameters.get("build")
    built = ((name, built_kind(parameter.annotation)) for name, parameter in parameters.items())
    return Recipe(
        maker,
        build is not None and build.kind is inspect.Parameter.KEYWORD_ONLY,
        tuple((name, kind) for name, kind in built if kind is not None),
    )


def built_kind(annotation: Any) -> str | None:
    """The kind that an annotation names with `Built`: as an object, inside a union, or as source text."""
    if isinstance(annotation, str):
        # text, under `from __future__ import annotations`; read, not evaluated: the name may be imported for types only
        found = re.search(r"\bBuilt\[\s*['\"]?(\w+)['\"]?\s*\]", annotation)
        return found.group(1) if found else None
    for part in (*getattr(annotation, "__metadata__", ()), *get_args(annotation)):
        if isinstance(part, Built):
            return part.kind
        if kind := (built_kind(part) if get_args(part) else None):
            return kind
    return None
