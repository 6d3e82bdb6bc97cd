"""Python config files as syntax: parsed once, and looked at for their bases and their style; nothing is evaluated."""

import ast
import re
import warnings
from typing import Any, cast

from fkit.config.language.budget import BITS
from fkit.config.language.imported import is_standard
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "check_base",
    "is_newstyle",
    "mentions_base",
    "parse_python",
    "split_base",
    "split_marker",
    "statements",
]

_parsed: dict[str, ast.Module] = {}  # the memo of parsed files, keyed by content
_MEMO = 96  # files kept: the bases of a folder of configs
_FIELDS = 10_000  # of texts f'...', for which Python 3.11 takes a time that grows with their square
_FORMATTED = re.compile(r"""\b(?:[fF][rR]?|[rR][fF])['"]""")
_LONG = re.compile(r"\b0[xXoObB][0-9a-fA-F_]{3000}")  # what may be an integer that Python does not write in decimals


def parse_python(text: str, file: str) -> ast.Module:
    """The AST of a Python text, remembered by content.

    Raises:
        FkitValueError: no Python, or nested too deeply.
    """
    known = _parsed.pop(text, None)
    if known is not None:
        _parsed[text] = known  # the last used stand last
        return known
    if text.count("{") > _FIELDS and _FORMATTED.search(text):
        raise FkitValueError(f"The texts f'...' of the config have more than {_FIELDS} fields.", origin=file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in a config is Python's affair
            module = ast.parse(text)
    except SyntaxError as error:
        if "integer string conversion" in str(error.msg):
            raise _too_long(f"{file}:{error.lineno or 1}") from None
        raise FkitValueError(f"This is no Python: {error.msg}.", origin=f"{file}:{error.lineno or 1}") from None
    except MemoryError:
        raise FkitValueError("This Python is too long, or nested too deeply.", origin=file) from None
    except (ValueError, RecursionError, OverflowError) as error:
        raise FkitValueError(
            f"This is no Python that can be read: {str(error) or 'it is nested too deeply'}.", origin=file
        ) from None
    if _LONG.search(text):
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value.bit_length() > BITS:
                raise _too_long(f"{file}:{node.lineno}")
    if len(text) <= 100_000:
        if len(_parsed) >= _MEMO:
            oldest, *_ = _parsed  # all at once, for another thread may read a config too
            _parsed.pop(oldest, None)
        _parsed[text] = module
    return module


def _too_long(place: str) -> FkitValueError:
    return FkitValueError("An integer of more than 4300 digits, which has no text.", origin=place)


def _is_base(node: ast.stmt) -> bool:
    """Whether a statement is ``_base_ = ...``, with or without an annotation."""
    if isinstance(node, ast.Assign):
        target = node.targets[0] if len(node.targets) == 1 else None
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target = node.target
    else:
        return False
    return isinstance(target, ast.Name) and target.id == "_base_"


def split_base(module: ast.Module, file: str) -> tuple[ast.Assign | ast.AnnAssign | None, list[ast.stmt]]:
    """The statement that names the bases of an old-style file, and the others.

    Raises:
        FkitValueError: there are two.
    """
    bases = [node for node in module.body if _is_base(node)]
    if len(bases) > 1:
        raise FkitValueError(
            "_base_ is set twice; only one list of bases is read.",
            origin=f"{file}:{bases[1].lineno}",
            repair="Write all bases in one list.",
        )
    if not bases:
        return None, module.body
    statement = cast("ast.Assign | ast.AnnAssign", bases[0])
    return statement, [node for node in module.body if node is not statement]


def mentions_base(text: str, statement: ast.Assign | ast.AnnAssign | None) -> bool:
    """Whether a text may use ``_base_`` outside of the statement that sets it."""
    if statement is None:
        return "_base_" in text
    lines = text.split("\n")[statement.lineno - 1 : statement.end_lineno]
    return text.count("_base_") > sum(line.count("_base_") for line in lines)


def check_base(names: dict[str, Any], base: Any, file: str) -> None:
    """Take ``_base_`` out of the names that a file left.

    Raises:
        FkitValueError: the file has set it where no base is read.
        FkitTypeError: the file has given it a key that is no name.
    """
    if names.pop("_base_", base) is not base:
        raise FkitValueError(
            "_base_ is set where it names no bases.",
            origin=file,
            repair="Write `_base_ = [...]`, alone, at the top level of the file.",
        )
    for key in base:
        if not isinstance(key, str):
            raise FkitTypeError(f"The top-level key {key!r} is no string.", origin=file)


def is_newstyle(module: ast.Module, file: str) -> bool:
    """Whether a file is of the new style: it reads bases by ``with read_base():`` or imports another library.

    Raises:
        FkitValueError: a ``with`` of something else.
    """
    for node in statements(module):
        if _is_base(node):
            return False
        if isinstance(node, ast.With):
            if not _is_marker(node):
                raise FkitValueError("Only `with read_base():` is part of a config.", origin=f"{file}:{node.lineno}")
            return True
        elif isinstance(node, ast.ImportFrom):
            if node.level != 0:
                return True
            if node.module == "mmengine" and len(node.names) == 1 and node.names[0].name == "Config":
                continue
            if node.module is not None and not is_standard(node.module):
                return True
        elif isinstance(node, ast.Import) and not all(is_standard(alias.name) for alias in node.names):
            return True
    return False


def statements(module: ast.Module) -> list[ast.stmt]:
    """All statements, those of the file itself first, then those inside of them, level by level."""
    nodes: list[ast.stmt] = []
    level: list[ast.stmt] = module.body
    while level:
        nodes += level
        deeper: list[ast.stmt] = []
        for node in level:
            for field in ("body", "orelse", "finalbody", "handlers"):
                for below in getattr(node, field, ()):
                    deeper += below.body if isinstance(below, ast.ExceptHandler) else [below]
        level = deeper
    return nodes


def _is_marker(node: ast.With) -> bool:
    call = node.items[0].context_expr
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "read_base"


def split_marker(body: list[ast.stmt], file: str) -> tuple[list[ast.stmt], list[ast.ImportFrom]]:
    """The statements without the first ``with read_base():``, and the imports inside of that."""
    for at, node in enumerate(body):
        place = f"{file}:{node.lineno}"
        if _is_base(node):
            raise FkitValueError(
                "A base of the old style (`_base_ = ...`) under a child of the new style.",
                origin=place,
                repair="All files of a chain must be of one style.",
            )
        if not isinstance(node, ast.With):
            continue
        if not _is_marker(node) or len(node.items) > 1:
            raise FkitValueError("Only `with read_base():` is part of a config.", origin=place)
        imports: list[ast.ImportFrom] = []
        for below in node.body:
            if not isinstance(below, ast.ImportFrom) or below.module is None:
                repair = "Write `from .module import name`, or `import *`."
                raise FkitValueError(
                    "Only `from module import ...` stands in `with read_base():`.", origin=place, repair=repair
                )
            imports.append(below)
        return [*body[:at], *body[at + 1 :]], imports
    return body, []
