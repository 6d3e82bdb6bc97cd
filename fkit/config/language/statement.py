"""Python config files as data: their statements, evaluated over the AST, never executed."""

import ast
import sys
from typing import Any

from fkit.config.language import operate
from fkit.config.language.budget import Budget
from fkit.config.language.expression import Expressions
from fkit.config.language.imported import Imported, Module
from fkit.config.language.library import BUILTINS
from fkit.config.language.pure import listed
from fkit.config.language.scope import Scope, refuse
from fkit.config.language.standard import member
from fkit.config.language.value import Draft, Linked
from fkit.tree.error import FkitError, FkitValueError, like

__all__ = ["Evaluator", "evaluate", "is_standard"]

_CONTROL = ("break", "continue")  # what a statement answers when it leaves its loop; a return answers a tuple


def is_standard(module: str) -> bool:
    """Whether a module is of the standard library (or mmengine.config, which config files import for its marker).

    Example:
        >>> is_standard("os.path"), is_standard("torch.nn"), is_standard(".x")
        (True, False, False)
    """
    if module.startswith("."):
        return False
    return module.startswith("mmengine.config") or module.split(".")[0] in sys.stdlib_module_names


def evaluate(body: list[ast.stmt], names: Draft, file: str, budget: Budget) -> Draft:
    """The names that the statements of a file leave.

    Args:
        body: the statements.
        names: the names at the start, as ``_base_``; it is changed and returned.
        file: the file's name, for origins and errors.
        budget: what the evaluation may cost.

    Raises:
        FkitError: an error of the file, with its line; or something that is beyond a config that is data.

    Example:
        >>> dict(evaluate(ast.parse("a = [i * i for i in range(3)]").body, Draft(), "x.py", Budget()))
        {'a': [0, 1, 4]}
    """
    evaluator = Evaluator(file, budget, Scope(names))
    try:
        for statement in body:
            left = evaluator.execute(statement)
            if left is not None:
                raise SyntaxError("'return' or 'break' outside of a function or a loop")
    except FkitError as error:
        if error.origin is None:
            error.origin = evaluator.place
        raise
    except RecursionError:
        raise FkitValueError("The config is nested too deeply.", origin=evaluator.place) from None
    except MemoryError:
        raise FkitValueError("The config needs too much memory.", origin=evaluator.place) from None
    except Exception as error:
        kind = type(error).__name__
        detail = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise like(error)(
            f"{kind}: {detail!r}." if isinstance(error, KeyError) else f"{kind}: {error}.", origin=evaluator.place
        ) from error
    return names


class Evaluator(Expressions):
    """An evaluator of statements."""

    def execute(self, node: ast.stmt) -> Any:
        """Execute one statement; None, or how control leaves: "break", "continue", or ("return", value)."""
        self.budget.spend(1)
        self.line = node.lineno
        function = getattr(self, f"_do_{type(node).__name__}", None)
        if function is None:
            refuse(f"The statement {type(node).__name__} is not part of a config that is data.", self.place)
        return function(node)

    def block(self, body: list[ast.stmt]) -> Any:
        """Execute statements until one leaves."""
        for statement in body:
            left = self.execute(statement)
            if left is not None:
                return left
        return None

    def run(self, body: list[ast.stmt]) -> Any:
        """Execute the body of a function and give what it returns."""
        left = self.block(body)
        return left[1] if isinstance(left, tuple) else None

    # assignment

    def _do_Assign(self, node: ast.Assign) -> None:
        value = self.eval(node.value)
        self.line = node.lineno
        for target in node.targets:
            self.assign(target, value)

    def _do_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign(node.target, self.eval(node.value))

    def _do_AugAssign(self, node: ast.AugAssign) -> None:
        target, op = node.target, type(node.op).__name__
        if isinstance(target, ast.Name):
            old = self._ev_Name(target)
            self.scope.put(target.id, operate.inplace(op, old, self.eval(node.value), self.budget), self.mark)
        elif isinstance(target, ast.Subscript):
            holder, index = self.eval(target.value), self.eval(target.slice)
            made = operate.inplace(op, holder[operate.key(index, self.budget)], self.eval(node.value), self.budget)
            self._put_item(holder, index, made)
        else:
            holder = self.eval(target.value)
            made = operate.inplace(op, self.attribute(holder, target.attr, target), self.eval(node.value), self.budget)
            self._put_attribute(holder, target.attr, made)

    def assign(self, target: ast.AST, value: Any) -> None:
        """Assign to a name, an item, an attribute of a base, or several of them."""
        kind = type(target)
        if kind is ast.Name:
            self.scope.put(target.id, value, self.mark)  # type: ignore[attr-defined]
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack_into(target.elts, value)
        elif isinstance(target, ast.Subscript):
            self._put_item(self.eval(target.value), self.eval(target.slice), value)
        elif isinstance(target, ast.Attribute):
            self._put_attribute(self.eval(target.value), target.attr, value)
        else:
            refuse(f"An assignment to {kind.__name__} is not part of a config that is data.", self.place)

    def _unpack_into(self, targets: list[ast.expr], value: Any) -> None:
        values = listed(value, self.budget)
        stars = [at for at, target in enumerate(targets) if isinstance(target, ast.Starred)]
        if len(stars) > 1:
            raise SyntaxError("multiple starred expressions in assignment")
        if stars:
            at, after = stars[0], len(targets) - stars[0] - 1
            if len(values) < len(targets) - 1:
                raise ValueError(
                    f"not enough values to unpack (expected at least {len(targets) - 1}, got {len(values)})"
                )
            end = len(values) - after
            values = [*values[:at], values[at:end], *values[end:]]
        if len(values) != len(targets):
            raise ValueError(f"cannot unpack {len(values)} values into {len(targets)} names")
        for target, item in zip(targets, values, strict=True):
            self.assign(target.value if isinstance(target, ast.Starred) else target, item)

    def _put_item(self, holder: Any, index: Any, value: Any) -> None:
        if isinstance(holder, Draft):
            if isinstance(holder, Linked):
                operate.weigh(value, self.budget)
            holder.put(operate.key(index, self.budget), value, self.mark)
        elif isinstance(holder, list):
            if isinstance(index, slice):
                value = listed(value, self.budget)
            holder[index] = value
        else:
            raise TypeError(f"{type(holder).__name__!r} object does not support item assignment")

    def _put_attribute(self, holder: Any, name: str, value: Any) -> None:
        if not isinstance(holder, Linked) or name.startswith("__"):
            kind = "dict" if isinstance(holder, Draft) else type(holder).__name__
            raise AttributeError(
                f"{kind!r} object has no attribute {name!r}: only what comes from a base takes attributes"
            )
        operate.weigh(value, self.budget)
        holder.put(name, value, self.mark)

    def _do_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.scope.drop(target.id)
            elif isinstance(target, ast.Subscript):
                holder, index = self.eval(target.value), self.eval(target.slice)
                if not isinstance(holder, (Draft, list)):
                    raise TypeError(f"{type(holder).__name__!r} object doesn't support item deletion")
                del holder[operate.key(index, self.budget)]
                if isinstance(holder, Draft):
                    holder.marks.pop(index, None)
            elif isinstance(target, ast.Attribute):
                holder = self.eval(target.value)
                if not isinstance(holder, Linked) or target.attr not in holder:
                    raise AttributeError(target.attr)
                del holder[target.attr]
            elif isinstance(target, (ast.Tuple, ast.List)):
                self._do_Delete(ast.copy_location(ast.Delete(target.elts), node))

    # control

    def _do_Expr(self, node: ast.Expr) -> None:
        self.eval(node.value)

    def _do_Pass(self, node: ast.Pass) -> None:
        return None

    def _do_Break(self, node: ast.Break) -> str:
        return _CONTROL[0]

    def _do_Continue(self, node: ast.Continue) -> str:
        return _CONTROL[1]

    def _do_Return(self, node: ast.Return) -> tuple[str, Any]:
        return "return", None if node.value is None else self.eval(node.value)

    def _do_If(self, node: ast.If) -> Any:
        return self.block(node.body if self.eval(node.test) else node.orelse)

    def _do_For(self, node: ast.For) -> Any:
        value = self.eval(node.iter)
        if isinstance(value, Imported):
            raise TypeError(f"{value.name} is not iterable while a config is read")
        for item in value:
            self.budget.spend(1)
            self.assign(node.target, item)
            left = self.block(node.body)
            if left == "break":
                return None
            if isinstance(left, tuple):
                return left
        return self.block(node.orelse)

    def _do_While(self, node: ast.While) -> Any:
        while self.eval(node.test):
            self.budget.spend(1)
            left = self.block(node.body)
            if left == "break":
                return None
            if isinstance(left, tuple):
                return left
        return self.block(node.orelse)

    def _do_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.decorator_list:
            refuse("A decorator is not part of a config that is data.", self.place)
        if any(isinstance(below, (ast.Yield, ast.YieldFrom)) for below in ast.walk(node)):
            refuse("A generator function is not part of a config that is data.", self.place)
        self.scope.put(node.name, self.closure(node.name, node.args, node.body), None)

    def _do_Global(self, node: ast.Global) -> None:
        if self.scope.outer is not None:
            self.scope.declare(node.names, True)

    def _do_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.scope.declare(node.names, False)

    def _do_Assert(self, node: ast.Assert) -> None:
        if not self.eval(node.test):
            raise AssertionError("" if node.msg is None else self.eval(node.msg))

    def _do_Raise(self, node: ast.Raise) -> None:
        error = RuntimeError("no active exception to re-raise") if node.exc is None else self.eval(node.exc)
        if isinstance(error, type) and issubclass(error, Exception):
            error = error()
        if not isinstance(error, Exception):
            raise TypeError("exceptions must derive from Exception")
        raise error

    def _do_Try(self, node: ast.Try) -> Any:
        try:
            left = self.block(node.body)
            if left is None:
                left = self.block(node.orelse)
        except (FkitError, RecursionError, MemoryError):
            raise
        except Exception as error:
            left = self._handle(node.handlers, error)
        finally:
            final = self.block(node.finalbody)
        return left if final is None else final

    def _handle(self, handlers: list[ast.ExceptHandler], error: Exception) -> Any:
        for handler in handlers:
            kinds = Exception if handler.type is None else self.eval(handler.type)
            if isinstance(error, kinds):
                if handler.name is not None:
                    self.scope.put(handler.name, str(error), None)
                left = self.block(handler.body)
                if handler.name is not None and handler.name in self.scope.names:
                    self.scope.drop(handler.name)
                return left
        raise error

    # imports

    def _do_With(self, node: ast.With) -> Any:
        call = node.items[0].context_expr
        marker = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "read_base"
        if not marker or len(node.items) > 1:
            refuse("Only `with read_base():` is part of a config that is data.", self.place)
        return self.block(node.body)

    def _do_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.split(".")[0]
            if not is_standard(alias.name):
                # `import a.b` binds `a`; `import a.b as c` binds what it names
                value: Any = Imported(alias.name if alias.asname else root, self.place)
            else:
                value = Module(alias.name if alias.asname else root)
            self.scope.put(alias.asname or root, value, None)

    def _do_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name == "*":
                refuse("`from ... import *` is only for bases, inside of `with read_base():`.", self.place)
            name = alias.asname or alias.name
            if not is_standard(module):
                self.scope.put(name, Imported(f"{module}.{alias.name}", self.place), None)
                continue
            found = member(module, alias.name)
            if found is None and module == "builtins":
                found = BUILTINS.get(alias.name)
            # what a config may not use can be imported all the same; the use is what is refused
            self.scope.put(name, Module(f"{module}.{alias.name}") if found is None else found, None)
