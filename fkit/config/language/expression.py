"""Expressions of a config file, evaluated over the AST."""

import ast
from collections.abc import Callable, Iterator
from typing import Any

from fkit.config.language import operate
from fkit.config.language.budget import Budget
from fkit.config.language.imported import Imported, Module
from fkit.config.language.library import BUILTINS, CALLS
from fkit.config.language.method import method_of, methods
from fkit.config.language.pure import Partial, listed
from fkit.config.language.scope import Bound, Closure, Scope, Transient, absent, bind, refuse
from fkit.config.language.standard import member
from fkit.config.language.value import Draft, Linked
from fkit.config.origin import Mark
from fkit.tree.error import FkitValueError

__all__ = ["Expressions"]

_ABSENT = absent()
_new_mark: Callable[..., Mark] = tuple.__new__  # a Mark without the call of its constructor: there are thousands


class Expressions:
    """Evaluates expressions.

    Args:
        file: the file's name, for origins and errors.
        budget: what the evaluation may cost.
        scope: the module's names.
    """

    def __init__(self, file: str, budget: Budget, scope: Scope) -> None:
        self.file = file
        self.budget = budget
        self.scope = scope
        self.line = 1
        self.depth = 0
        self.table: dict[type[ast.AST], Callable[[Any], Any]] = {kind: getattr(self, name) for kind, name in _TABLE}

    @property
    def place(self) -> str:
        """``file:line`` of what is evaluated."""
        return f"{self.file}:{self.line}"

    @property
    def mark(self) -> Mark:
        """The mark of a key that is set now."""
        return _new_mark(Mark, (self.file, self.line, ()))

    def eval(self, node: ast.AST) -> Any:
        """The value of an expression."""
        kind = type(node)
        if kind is ast.Constant:
            return node.value  # type: ignore[attr-defined]
        function = self.table.get(kind)
        if function is None:
            self.line = getattr(node, "lineno", self.line)
            refuse(f"{kind.__name__} is not part of a config that is data.", self.place)
        return function(node)

    # names and access

    def _ev_Name(self, node: ast.Name) -> Any:
        found = self.scope.find(node.id)
        if found is not _ABSENT:
            return found
        if node.id in BUILTINS:
            return BUILTINS[node.id]
        self.line = node.lineno
        if node.id in _BEYOND.split():
            refuse(f"{node.id} is not available to a config.", self.place)
        raise NameError(f"name {node.id!r} is not defined")

    def _ev_Attribute(self, node: ast.Attribute) -> Any:
        value = self.eval(node.value)
        return self.attribute(value, node.attr, node)

    def attribute(self, value: Any, name: str, node: ast.AST) -> Any:
        """``value.name``: a key of a base, a member of a module, a name below a lazy one, or a method."""
        if name.startswith("__"):
            self.line = getattr(node, "lineno", self.line)
            refuse(f"The attribute {name!r} is not available to a config.", self.place)
        function = methods(value, name)
        if function is not None:
            return Bound(function, value)
        if isinstance(value, Linked):
            if name in value:
                return value[name]
        elif isinstance(value, Imported):
            return value.attribute(name)
        elif isinstance(value, Module):
            return self._member(value, name, node)
        elif value is dict and name == "fromkeys":
            return member("dict", name)
        elif isinstance(value, type) and value in (str, list, dict, set, tuple):
            found = methods(Draft() if value is dict else value(), name)
            if found is not None:
                return found
        elif isinstance(value, (int, float, complex)) and name in ("real", "imag"):
            return value.real if name == "real" else value.imag
        self.line = getattr(node, "lineno", self.line)
        kind = "dict" if isinstance(value, Draft) else type(value).__name__
        raise AttributeError(f"{kind!r} object has no attribute {name!r}")

    def _member(self, value: Module, name: str, node: ast.AST) -> Any:
        found = member(value.name, name)
        if found is None:
            self.line = getattr(node, "lineno", self.line)
            refuse(f"{value.name}.{name} is not among the pure functions that a config may use.", self.place)
        return found

    def _ev_Subscript(self, node: ast.Subscript) -> Any:
        self.budget.spend(1)
        value, index = self.eval(node.value), self.eval(node.slice)
        self.line = node.lineno
        if isinstance(value, (list, tuple, str, bytes, range)):
            found = value[index]
            if isinstance(index, slice) and not isinstance(found, range):
                self.budget.spend(len(found) >> 3)
            return found
        if isinstance(value, dict):
            return value[operate.key(index, self.budget)]
        if value == Module("os.environ"):
            return CALLS[_GETENV](self, index)
        if isinstance(value, type) and value in (dict, list, tuple, set):
            return value  # an annotation: list[int]
        raise TypeError(f"{type(value).__name__!r} object is not subscriptable")

    def _ev_Slice(self, node: ast.Slice) -> slice:
        parts = (None if part is None else self.eval(part) for part in (node.lower, node.upper, node.step))
        return slice(*parts)

    # containers

    def items(self, nodes: list[Any]) -> list[Any]:
        """The values of a list of expressions, starred ones unpacked."""
        self.budget.spend(len(nodes) + 1)
        found: list[Any] = []
        for node in nodes:
            kind = type(node)
            if kind is ast.Constant:
                found.append(node.value)
            elif kind is ast.Starred:
                found += listed(self.eval(node.value), self.budget)
            else:
                found.append(self.eval(node))
        return found

    def _ev_List(self, node: ast.List) -> list[Any]:
        return self.items(node.elts)

    def _ev_Tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self.items(node.elts))

    def _ev_Set(self, node: ast.Set) -> set[Any]:
        return {operate.key(value, self.budget) for value in self.items(node.elts)}

    def _ev_Dict(self, node: ast.Dict) -> Draft:
        self.budget.spend(len(node.keys) + 1)
        made = Draft()
        file, marks = self.file, made.marks
        for name, below in zip(node.keys, node.values, strict=True):
            value = self.eval(below)
            if name is None:
                self._unpack(made, value, False)
                continue
            key = operate.key(self.eval(name), self.budget)
            made[key] = value
            marks[key] = _new_mark(Mark, (file, name.lineno, ()))
        return made

    def _unpack(self, made: Draft, value: Any, once: bool) -> None:
        if not isinstance(value, dict):
            raise TypeError(f"{type(value).__name__!r} object is not a mapping")
        self.budget.spend(len(value))
        known: dict[Any, Any] = getattr(value, "marks", {})
        for key, item in value.items():
            if once and key in made:
                raise TypeError(f"dict() got multiple values for keyword argument {key!r}")
            if once and not isinstance(key, str):
                raise TypeError("keywords must be strings")
            made[key] = item
            made.marks[key] = known.get(key)

    def _dict(self, node: ast.Call) -> Draft:
        """``dict(a=1, **other)``, most of what a config is."""
        self.budget.spend(len(node.keywords) + 1)
        made: Draft = CALLS[dict](self, *self.items(node.args)) if node.args else Draft()
        file, marks = self.file, made.marks
        given = set[str]() if node.args else None
        for word in node.keywords:
            below, name = word.value, word.arg
            value = below.value if type(below) is ast.Constant else self.eval(below)
            if name is None:
                self._unpack(made, value, True)
                continue
            if name in made and (given is None or name in given):
                self.line = word.lineno
                raise TypeError(f"dict() got multiple values for keyword argument {name!r}")
            if given is not None:
                given.add(name)
            made[name] = value
            marks[name] = _new_mark(Mark, (file, word.lineno, ()))
        return made

    # calls

    def _ev_Call(self, node: ast.Call) -> Any:
        function = self.eval(node.func)
        if function is dict:
            return self._dict(node)
        args = self.items(node.args)
        keywords: dict[str, Any] = {}
        for word in node.keywords:
            value = self.eval(word.value)
            more = {word.arg: value} if word.arg is not None else value
            for key in more:
                if key in keywords:
                    raise TypeError(f"got multiple values for keyword argument {key!r}")
            keywords.update(more)
        self.line = node.lineno
        return self.call(function, *args, **keywords)

    def call(self, function: Any, /, *args: Any, **keywords: Any) -> Any:
        """Call what a config file may call."""
        self.budget.spend(1 + len(args) + len(keywords))
        if isinstance(function, Bound):
            return function.function(self, function.value, *args, **keywords)
        if isinstance(function, Closure):
            return self._closure(function, args, keywords)
        if isinstance(function, Partial):
            return self.call(function.function, *function.arguments, *args, **{**function.keywords, **keywords})
        if isinstance(function, Imported):
            refuse(f"{function.name} is called, which is not imported while a config is read.", self.place)
        if isinstance(function, type) and issubclass(function, Exception):
            return function(*args)
        try:
            known = CALLS.get(function)
        except TypeError:
            known = None
        if known is not None:
            return known(self, *args, **keywords)
        if isinstance(function, Module):
            refuse(f"{function.name} is not among the pure functions that a config may use.", self.place)
        if getattr(function, "__module__", "") == "fkit.config.language.method":  # `str.upper`, taken from its class
            return function(self, *args, **keywords)
        raise TypeError(f"{type(function).__name__!r} object is not callable")

    def _closure(self, function: Closure, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if self.depth > 60:
            raise FkitValueError(
                "The functions of the config call each other more than 60 levels deep.", origin=self.place
            )
        outer, line = self.scope, self.line
        self.scope = bind(function, args, keywords)
        self.depth += 1
        try:
            if isinstance(function.body, list):
                return self.run(function.body)
            return self.eval(function.body)
        finally:
            self.depth -= 1
            self.scope, self.line = outer, line

    def run(self, body: list[ast.stmt]) -> Any:
        """Execute the body of a function."""
        raise NotImplementedError

    def _ev_Lambda(self, node: ast.Lambda) -> Closure:
        return self.closure("<lambda>", node.args, node.body)

    def closure(self, name: str, spec: ast.arguments, body: Any) -> Closure:
        """A function of the file, with its defaults evaluated."""
        defaults = [self.eval(d) for d in spec.defaults]
        named = [_ABSENT if d is None else self.eval(d) for d in spec.kw_defaults]
        return Closure(name, spec, body, self.scope, defaults, named)

    # operators

    def _ev_BinOp(self, node: ast.BinOp) -> Any:
        left, right = self.eval(node.left), self.eval(node.right)
        self.line = node.lineno
        return operate.binary(type(node.op).__name__, left, right, self.budget)

    def _ev_UnaryOp(self, node: ast.UnaryOp) -> Any:
        return operate.UNARY[type(node.op).__name__](self.eval(node.operand))

    def _ev_BoolOp(self, node: ast.BoolOp) -> Any:
        self.budget.spend(len(node.values))
        wanted = isinstance(node.op, ast.Or)
        value: Any = None
        for part in node.values:
            value = self.eval(part)
            if bool(value) is wanted:
                break
        return value

    def _ev_Compare(self, node: ast.Compare) -> Any:
        self.budget.spend(len(node.ops))
        left = self.eval(node.left)
        answer: Any = True
        for op, below in zip(node.ops, node.comparators, strict=True):
            right = self.eval(below)
            self.line = node.lineno
            answer = operate.compare(type(op).__name__, left, right, self.budget)
            if not answer:
                break
            left = right
        return answer

    def _ev_IfExp(self, node: ast.IfExp) -> Any:
        self.budget.spend(1)
        return self.eval(node.body if self.eval(node.test) else node.orelse)

    def _ev_NamedExpr(self, node: ast.NamedExpr) -> Any:
        value = self.eval(node.value)
        scope = self.scope
        while getattr(scope.names, "transient", False) and scope.outer is not None:
            scope = scope.outer
        scope.put(node.target.id, value, self.mark)
        return value

    def _ev_JoinedStr(self, node: ast.JoinedStr) -> str:
        self.budget.spend(len(node.values))
        return "".join([self.eval(part) for part in node.values])

    def _ev_FormattedValue(self, node: ast.FormattedValue) -> str:
        value = self.eval(node.value)
        mark = "" if node.conversion < 0 else f"!{chr(node.conversion)}"
        function = method_of("str", "format")
        if node.format_spec is None:
            return function(self, "{0" + mark + "}", value)
        return function(self, "{0" + mark + ":{1}}", value, self.eval(node.format_spec))

    # comprehensions

    def _ev_ListComp(self, node: ast.ListComp) -> list[Any]:
        return [self.eval(node.elt) for _ in self._loops(node.generators)]

    def _ev_GeneratorExp(self, node: ast.GeneratorExp) -> Iterator[Any]:
        return iter([self.eval(node.elt) for _ in self._loops(node.generators)])

    def _ev_SetComp(self, node: ast.SetComp) -> set[Any]:
        return {operate.key(self.eval(node.elt), self.budget) for _ in self._loops(node.generators)}

    def _ev_DictComp(self, node: ast.DictComp) -> Draft:
        made = Draft()
        for _ in self._loops(node.generators):
            key = operate.key(self.eval(node.key), self.budget)
            made.put(key, self.eval(node.value), self.mark)
        return made

    def _loops(self, generators: list[ast.comprehension]) -> Iterator[None]:
        """Step through the loops of a comprehension, with its names in a scope of their own."""
        outer = self.scope
        first = self.each(generators[0])
        self.scope = Scope(Transient(), outer)
        try:
            yield from self._loop(generators, 0, first)
        finally:
            self.scope = outer

    def each(self, generator: ast.comprehension) -> Iterator[Any]:
        """The items that a loop of a comprehension goes over."""
        if generator.is_async:
            refuse("An async comprehension is not part of a config that is data.", self.place)
        value = self.eval(generator.iter)
        if isinstance(value, Imported):
            raise TypeError(f"{value.name} is not iterable while a config is read")
        return iter(value)

    def _loop(self, generators: list[ast.comprehension], at: int, items: Iterator[Any]) -> Iterator[None]:
        loop = generators[at]
        for item in items:
            self.budget.spend(2)
            self.assign(loop.target, item)
            if not all(self.eval(test) for test in loop.ifs):
                continue
            if at + 1 == len(generators):
                yield None
            else:
                yield from self._loop(generators, at + 1, self.each(generators[at + 1]))

    def assign(self, target: ast.AST, value: Any) -> None:
        """Assign to a name, an item, an attribute of a base, or several of them."""
        raise NotImplementedError


_TABLE = tuple((getattr(ast, name[4:]), name) for name in vars(Expressions) if name.startswith("_ev_"))
_GETENV = member("os", "getenv")
_BEYOND = (
    "open eval exec compile __import__ input globals locals vars dir setattr delattr memoryview bytearray help breakpoint "
    "exit quit id hash super property classmethod staticmethod __builtins__ __file__ __spec__ __loader__ aiter anext"
)
