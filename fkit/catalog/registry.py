"""A registry is a value: kinds, scopes and backends of named makers; registering returns a new one.

What OpenMMLab keeps in globals is an argument or a field here:

====================================================  =================================================================
there (mmcv, mmengine)                                here
====================================================  =================================================================
``MODELS``, ``HOOKS``, ... filled at import           ``reg = fkit.registry()``: a value with all kinds
``@MODELS.register_module()`` at import               ``reg.register("models", Net)``, or ``@fkit.component("models")``
                                                      and ``reg.include(module)``
``MODELS.build(cfg)``                                 ``reg.build("models", cfg, backend="torch")``
``Registry("model", parent=MODELS, scope="my")``      ``reg.child("my", parent="mmdet")``
``locations=[...]``, ``register_all_modules()``       lazy entries ``"module:attribute"``, imported when built
``DefaultScope``, ``init_default_scope``              ``build(..., scope="mmdet")``; parts built inside inherit it
``switch_scope_and_registry(scope)``                  ``_scope_`` in the config, or the argument ``scope``
``infer_scope`` (the caller's frame)                  ``register(..., scope="my")``
``build_func=fn``                                     ``reg.declare("my_kind", build=fn)``
``import_modules_from_strings(**custom_imports)``     ``include_custom(reg.allow("mypkg"), cfg.custom_imports)``
``ManagerMixin.get_instance(name)``                   a field of the plan or the run, passed where it is needed
``MessageHub.get_instance(name)``                     ``run.memory`` and the history, part of the run's state
``MMLogger.get_current_instance()``                   effects (``WriteText``), or a logger asked for by name
``Visualizer.get_current_instance()``                 ``plan.visualizer``
``FileClient``'s and the backends' shared instances   backends made where they are used; ``file_backends`` entries
====================================================  =================================================================
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Self, cast

from fkit.catalog.allow import allowance
from fkit.catalog.build import checked_build
from fkit.catalog.entry import Entry, Lazy, Maker, entry_of
from fkit.catalog.plugin import include
from fkit.catalog.report import not_found
from fkit.catalog.scope import Branch, checked
from fkit.catalog.table import Rows, Table
from fkit.catalog.union import union
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.facade import Instead

__all__ = ["Registry"]


@dataclass(frozen=True, slots=True, repr=False)
class Registry(Table):
    """Names to makers, by kind, scope and backend. Frozen: every method that adds returns a new registry.

    Args:
        scope: the name of the root scope; ``fkit.ResNet`` names the root's own ``ResNet``.

    Example:
        >>> reg = Registry()
        >>> more = reg.register("models", dict, name="Net")
        >>> more.build("models", {"type": "Net", "depth": 18})
        {'depth': 18}
        >>> ("models", "Net") in reg, ("models", "Net") in more
        (False, True)
    """

    # names that OpenMMLab's scripts ask of a registry
    register_module = Instead("reg = reg.register(kind, Maker) gives a registry with it; @fkit.component marks one.")
    module_dict = Instead("reg.names(kind) lists them, reg.get(kind, name) gives one.")
    build_func = Instead("reg.build(kind, cfg) builds; reg.declare(kind, build=function) has another function do it.")
    infer_scope = Instead("A scope is an argument: reg.register(kind, Maker, scope='my').")
    switch_scope_and_registry = Instead("A scope is an argument: reg.build(kind, cfg, scope='my').")
    import_from_location = Instead("A maker may be 'module:attribute', which is imported when it is built.")

    def __post_init__(self) -> None:
        checked(self.scope)

    def __dir__(self) -> list[str]:
        kind = type(self)
        return [name for name in object.__dir__(self) if not isinstance(kind.__dict__.get(name), Instead)]

    # ------------------------------------------------------------------------------------------------ adding

    def register(
        self,
        kind: str,
        maker: Maker | str,
        name: str | Iterable[str] | None = None,
        scope: str | None = None,
        backend: str | None = None,
        replace: bool = False,
        deprecated: str | None = None,
    ) -> Self:
        """A registry that also has ``maker`` under ``name``.

        Args:
            kind: "models", "hooks", ..., or a kind of your own.
            maker: a class, a function, or ``"module:attribute"``, imported when it is first built.
            name: one name or several; None takes the maker's own name.
            scope: the scope it belongs to; None is the root.
            backend: the backend it is for; None is any.
            replace: take the place of an entry of the same name, scope and backend.
            deprecated: what to use instead; a build of this name then warns.

        Raises:
            FkitKeyError: the name is taken and ``replace`` is False.
            FkitTypeError: ``maker`` cannot be called, or a name is not a string.
            FkitValueError: a name is empty, or has a dot.

        Example:
            >>> reg = Registry().register("models", "collections:OrderedDict", name=("Net", "OldNet"), scope="my")
            >>> reg.names("models")
            ('my.Net', 'my.OldNet')
        """
        expect(replace, bool, "`replace` is a bool")
        scope = self.scope if scope is None else checked(scope)
        entries = entry_of(self.kind(kind), maker, name, scope, backend, deprecated)
        return self.add(entries, replace=replace)

    def declare(self, kind: str, build: Callable[..., Any] | None = None) -> Self:
        """A registry that knows ``kind``, built by ``build`` where one is given.

        Args:
            kind: the kind's name.
            build: called in place of ``fkit.build``, with its arguments: ``build(cfg, registry, kind, *, backend,
                defaults, scope, path)``.

        Example:
            >>> reg = Registry().declare("pairs", build=lambda cfg, registry, kind, **_: (kind, dict(cfg)))
            >>> reg.build("pairs", {"a": 1})
            ('pairs', {'a': 1})
        """
        kind = self.kind(kind)
        if build is not None and not callable(build):
            raise FkitTypeError(f"`build` is a function of a config, a registry and a kind, not {quoted(build)}.")
        tables = self.tables if kind in self.tables else self.tables.set(kind, Rows())
        makers = self.makers if build is None else self.makers.set(kind, build)
        return self.having(tables=tables, makers=makers)

    def child(self, scope: str, parent: str | None = None, *, open: bool = False) -> Self:
        """A registry in which ``scope`` is declared, under ``parent`` (None: the root).

        Args:
            scope: the new scope's name.
            parent: where its lookups go on when it lacks a name.
            open: ``scope.Name``, asked for from the scope itself, goes on to the parents too.

        Raises:
            FkitValueError: the scope is declared already, or the parent is not.

        Example:
            >>> reg = Registry().child("my").child("mine", parent="my")
            >>> dict(reg.children)
            {'my': 'fkit', 'mine': 'my'}
        """
        scope = checked(scope)
        parent = self.scope if parent is None else parent
        if scope == self.scope or (scope in self.scopes and self.scopes[scope].declared):
            raise FkitValueError(f"The scope {scope!r} is declared already.", choices=self.children, label="Scopes")
        expect(parent, str, "`parent` is the name of a scope")
        expect(open, bool, "`open` is a bool")
        if parent != self.scope and not (parent in self.scopes and self.scopes[parent].declared):
            raise FkitValueError(
                f"The parent {parent!r} of the scope {scope!r} is not declared.",
                value=parent,
                choices=(self.scope, *(s for s, at in self.scopes.items() if at.declared)),
                label="Scopes",
                repair=f"Declare it first: `reg.child({parent!r})`.",
            )
        return self.having(scopes=self.scopes.set(scope, Branch(parent, True, open)))

    def include(self, module: ModuleType | str) -> Self:
        """A registry that also has what a module offers: see `fkit.catalog.plugin.include`."""
        return include(self, module)

    def allow(self, *modules: str, trust: bool = False) -> Self:
        """A registry under which a config may also name what is defined in these modules, or import them.

        Args:
            modules: names of modules, each with all that is inside it.
            trust: any installed module but Python's library.

        Raises:
            FkitValueError: a module of Python's library, or of the kit: see `fkit.catalog.allow`.

        Example:
            >>> Registry().allow("yaml").build("hooks", {"type": "yaml.nodes.ScalarNode", "tag": "t", "value": "v"}).tag
            't'
        """
        return self.having(allowed=self.allowed | allowance(modules, trust))

    def __or__(self, other: "Registry") -> Self:
        """What both hold; equal entries count once.

        Raises:
            FkitKeyError: both have one name with different makers.
            FkitValueError: both declare a scope, or build a kind, in different ways.
        """
        if not isinstance(cast(Any, other), Registry):
            return NotImplemented
        return union(self, other)

    # ------------------------------------------------------------------------------------------------ asking

    def find(self, kind: str, name: str, scope: str | None = None, backend: str | None = None) -> Entry:
        """The entry that ``name`` means; imports nothing.

        Args:
            kind: the kind.
            name: ``Name`` or ``scope.Name``.
            scope: where the search begins; None is the root.
            backend: its own entry goes before one for any; None takes the one for any, else the only one.

        Raises:
            FkitKeyError: no such name, none for this backend, or several backends and none was said.
        """
        expect(name, str, "`name` is a name or scope.Name")
        entry = self.look(kind, name, scope, backend)
        if entry is not None:
            return entry
        raise not_found(self, kind, name, scope, backend)

    def get(self, kind: str, name: str, scope: str | None = None, backend: str | None = None) -> Maker | Lazy:
        """The maker registered under ``name``; a lazy entry gives a `Lazy`, which imports when it is called.

        Example:
            >>> reg = Registry().register("models", dict, name="Net").register("models", "math:sqrt", name="Root")
            >>> reg.get("models", "Net") is dict, reg.get("models", "fkit.Root")
            (True, Lazy(target='math:sqrt'))
            >>> reg.get("models", "Nett")
            Traceback (most recent call last):
            fkit.tree.error.FkitKeyError: 'Nett' is not in the registry 'models'.
              Did you mean 'Net'? Registered: Net, Root
        """
        return self.find(kind, name, scope, backend).maker

    def build(
        self,
        kind: str,
        cfg: Any,
        *,
        backend: str | None = None,
        defaults: Mapping[str, Any] | None = None,
        scope: str | None = None,
        path: str = "",
    ) -> Any:
        """`fkit.build` with this registry."""
        return checked_build(cfg, kind, defaults, self, backend, scope, path)
