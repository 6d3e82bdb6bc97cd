"""The one rule of what a name in a config may reach.

From text, a config builds what is registered, and by a dotted path:

1. what packages made for it offer to be built: `PARTS`;
2. what is defined in modules that the user allowed by name: ``registry.allow("mypkg")``, ``allow=`` of `fkit.build`,
   `fkit.plan` and `fkit.program`, ``--allow mypkg``, ``[tool.fkit] allow`` of the working folder's pyproject.toml, the
   module of an installed plugin, a module that the caller included;
3. with ``trust=True`` (``--trust``), what is defined in any installed module.

Never, whatever is allowed, what is defined in Python's library, or in the kit: its parts go by their registered names.
``custom_imports`` runs the module it names, so it takes the same permission. Classes and functions that a caller puts
into a config as Python objects are his own: no rule binds them. A config file that writes one (``type=dict``) can only
mean what its language lends it of Python's library, which is as closed.
"""

import functools
import importlib.util
import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

from fkit.tree.absent import ABSENT, Absent
from fkit.tree.check import expect
from fkit.tree.error import FkitImportError, FkitTypeError, FkitValueError, quoted
from fkit.tree.name import open_module, open_name

__all__ = ["PARTS", "Allowed", "allowance", "closed", "importable", "open_part", "refusal", "refusal_of_lent"]

# module -> what of its public names is meant to be built: subclasses of these, and functions that return them
PARTS = (
    ("torch.nn", ("Module",)),
    ("torch.optim", ("Optimizer",)),
    ("torch.optim.lr_scheduler", ("LRScheduler",)),
    ("flax.linen", ("Module",)),
    ("optax", ("GradientTransformation", "Schedule")),
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Whose code a config may name.

    Attributes:
        modules: names of modules, each with all that is inside it.
        trust: any installed module.

    Example:
        >>> Allowed(frozenset({"mypkg"})).covers("mypkg.nets"), Allowed().covers("mypkg"), Allowed(trust=True).covers("os")
        (True, False, False)
    """

    modules: frozenset[str] = frozenset()
    trust: bool = False

    def covers(self, module: str) -> bool:
        """Whether the code of a module may be reached."""
        if closed(module):
            return False
        return self.trust or any(f"{module}.".startswith(f"{name}.") for name in self.modules)

    def __or__(self, other: "Allowed") -> "Allowed":
        return Allowed(self.modules | other.modules, self.trust or other.trust)


def allowance(modules: str | Iterable[str] = (), trust: bool = False) -> Allowed:
    """The permission that a user gave, checked.

    Raises:
        FkitTypeError: not a name or several, or ``trust`` is no bool.
        FkitValueError: a name of Python's library or of the kit, which no config reaches by path.

    Example:
        >>> sorted(allowance(["mypkg", "other.nets"]).modules)
        ['mypkg', 'other.nets']
        >>> allowance("os")
        Traceback (most recent call last):
        fkit.tree.error.FkitValueError: 'os' cannot be allowed: it is of Python's library, which no config reaches by a path.
          Register what you need of it: registry.register(KIND, maker).
    """
    names: Any = (modules,) if isinstance(modules, str) else modules
    if not isinstance(names, (list, tuple, set, frozenset)):
        raise FkitTypeError(f"Modules to allow are names such as 'mypkg', not {quoted(modules)}.")
    expect(trust, bool, "`trust` is a bool")
    for name in cast("tuple[Any, ...]", names):
        if not isinstance(name, str):
            raise FkitTypeError(f"A module to allow is a name such as 'mypkg', not {quoted(name)}.")
        if not all(part.isidentifier() for part in name.split(".")):
            raise FkitValueError(f"{name!r} is no name of a module.", repair="Write it as `import` does: mypkg.nets.")
        if reason := closed(name):
            raise FkitValueError(
                f"{name!r} cannot be allowed: it is {reason}.",
                repair="Register what you need of it: registry.register(KIND, maker).",
            )
    return Allowed(frozenset(names), trust)


def open_part(path: str, allowed: Allowed) -> Any:
    """What a dotted path names, if a config may build it; ABSENT where there is no such package or part.

    Raises:
        FkitValueError: nothing allows it.
        FkitImportError, FkitAttributeError: it is allowed, and cannot be imported.

    Example:
        >>> open_part("torch.optim.sgd.SGD", Allowed()).__name__
        'SGD'
        >>> open_part("yaml.unsafe_load", Allowed())
        Traceback (most recent call last):
        fkit.tree.error.FkitValueError: 'yaml.unsafe_load' is code of the package 'yaml', which nothing allows.
          If you trust that package: --allow yaml. In Python: registry.allow('yaml').
    """
    module = path.rpartition(".")[0]
    if not module or not all(word.isidentifier() for word in path.split(".")):
        return ABSENT
    if closed(module):
        raise refusal(path, module)
    part = _part(path)
    if part is not ABSENT:
        return part
    if not importable(path):
        return ABSENT
    if not allowed.covers(module):
        raise refusal(path, module)
    maker = open_name(path)
    source = _source(maker)
    if isinstance(source, ModuleType) or not callable(source):
        return ABSENT
    home = _home(source)
    if not allowed.covers(home) and _part(f"{home}.{getattr(source, '__name__', '')}") is not source:
        raise refusal(path, home)
    return maker


def importable(module: str) -> bool:
    """Whether the package of a module is installed; nothing is imported.

    Example:
        >>> importable("json.decoder"), importable("no_such_package.nets")
        (True, False)
    """
    first = module.partition(".")[0]
    try:
        return first in sys.modules or importlib.util.find_spec(first) is not None
    except ValueError:
        return False


def refusal(what: str, module: str) -> FkitValueError:
    """The error for a name whose module nothing allows: it says the one word to add.

    Args:
        what: what the config wrote.
        module: the module in which that is defined; empty where it does not say.
    """
    if reason := closed(module):
        return FkitValueError(
            f"{what!r} is {reason}.", repair="If you mean it, register it: registry.register(KIND, maker)."
        )
    first = module.partition(".")[0]
    if any(first == package.partition(".")[0] for package, _ in PARTS):
        return FkitValueError(
            f"{what!r} is not among what {first!r} offers to configs.",
            choices=[f"{package}'s {kind}s" for package, kinds in PARTS for kind in kinds],
            repair="If you mean it, register it: registry.register(KIND, maker).",
        )
    if not first:
        return FkitValueError(f"{what!r} does not say in which module it is defined, so nothing can allow it.")
    return FkitValueError(
        f"{what!r} is code of the package {first!r}, which nothing allows.",
        repair=f"If you trust that package: --allow {first}. In Python: registry.allow({first!r}).",
    )


def refusal_of_lent(maker: Any) -> FkitValueError | None:
    """The error for what a config file wrote as an object, not as a name: the parts of Python that its language lends.

    They compute values while a file is read (``max``, ``range``, ``math.sqrt``), and are not to be built.

    Example:
        >>> print(refusal_of_lent(bytes))
        'builtins.bytes' is of Python's library, which no config reaches by a path.
          If you mean it, register it: registry.register(KIND, maker).
    """
    home = _home(_source(maker))
    return refusal(f"{home}.{getattr(maker, '__name__', '')}", home) if closed(home) else None


def closed(module: str) -> str:
    """Why no permission opens a module; empty where one may."""
    first = module.partition(".")[0]
    if first == "fkit":
        return "of the kit itself, whose parts go by their registered names"
    return "of Python's library, which no config reaches by a path" if first in sys.stdlib_module_names else ""


def _part(path: str) -> Any:
    """What a package of `PARTS` offers under a path, else ABSENT. Attributes are followed nowhere but in those modules."""
    head, _, name = path.rpartition(".")
    for module, kinds in PARTS:
        if not f"{head}.".startswith(f"{module}.") or name.startswith("_"):
            continue
        try:
            offered = open_module(module)
        except FkitImportError:
            return ABSENT
        maker: Any = vars(offered).get(name, ABSENT)
        home = str(getattr(maker, "__module__", ""))
        if (head == module or f"{home}.".startswith(f"{head}.")) and _is_a(maker, offered, kinds):
            return maker
    return ABSENT


def _is_a(maker: Any | Absent, offered: ModuleType, kinds: tuple[str, ...]) -> bool:
    """Whether it is a subclass of one of a module's classes, or a function said to return one of them."""
    product: Any = maker if isinstance(maker, type) else None
    if inspect.isfunction(maker):
        product = maker.__annotations__.get("return")
    bases = tuple(getattr(offered, kind) for kind in kinds)
    return product is not None and any(
        product == base or (isinstance(product, type) and isinstance(base, type) and issubclass(product, base))
        for base in bases
    )


def _source(maker: Any) -> Any:
    """The class or function that a partial calls; anything else is its own."""
    while isinstance(maker, functools.partial):
        maker = cast("functools.partial[Any]", maker).func
    return maker


def _home(source: Any) -> str:
    """The module in which a class or function is defined; of an object that can be called, its class's."""
    named = isinstance(source, type) or hasattr(source, "__qualname__")
    return str(getattr(source if named else type(source), "__module__", None) or "")
