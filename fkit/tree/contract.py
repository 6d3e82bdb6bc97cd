"""What a part of the user's own must offer, as a value: checked when a plan is made, and told in the message."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fkit.tree.error import FkitTypeError, nearest, quoted

__all__ = ["Contract", "expect_contract", "expect_fit", "misfit", "title"]


class Contract(NamedTuple):
    """The methods by which the kit calls a part.

    Attributes:
        noun: what it is: "metric".
        calls: (method, the arguments it is called with), in order; an argument ``name=`` is given by its name.
        example: a short one of the right form, as lines of Python.
    """

    noun: str
    calls: tuple[tuple[str, str], ...]
    example: str = ""

    @property
    def text(self) -> str:
        """The contract in the user's words."""
        words = ", ".join(f"{name}({arguments})" for name, arguments in self.calls)
        return f"A {self.noun} has {words}." + _indented(self.example)


def expect_contract(value: Any, contract: Contract) -> None:
    """Refuse a part that lacks a method, or has one that the kit's call does not fit.

    Raises:
        FkitTypeError: with the contract.

    Example:
        >>> class Count:
        ...     def merge(self, a): return a
        >>> expect_contract(Count(), Contract("sum", (("merge", "a, b"),)))
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: Count is no sum: its merge(a) cannot be called as merge(a, b).
          A sum has merge(a, b).
    """
    if isinstance(value, type):
        raise FkitTypeError(
            f"{title(value)} is a class, and a {contract.noun} is a value: {value.__name__}(...) makes one.",
            repair=contract.text,
        )
    for name, arguments in contract.calls:
        method = getattr(value, name, None)
        if not callable(method):
            near = nearest(name, [word for word in dir(value) if word != name and not word.startswith("__")])
            meant = f": is its {near!r} meant to be that" if near is not None and method is None else ""
            what = (
                f"has no {name}({arguments}){meant}" if method is None else f"has {name} = {quoted(method)}, no method"
            )
            raise FkitTypeError(f"{title(value)} is no {contract.noun}: it {what}.", repair=contract.text)
        expect_fit(method, name, arguments, f"{title(value)} is no {contract.noun}: its", contract.text)


def expect_fit(function: Callable[..., Any], name: str, arguments: str, lead: str, repair: str) -> None:
    """Refuse a function that does not take the arguments with which the kit calls it.

    Args:
        name: of the function, for the message.
        arguments: as in a `Contract`.
        lead: words before it.

    Raises:
        FkitTypeError: it does not.
    """
    wanted = [word.strip() for word in arguments.split(",") if word.strip()]
    signature = misfit(function, [w for w in wanted if w[-1] != "="], [w[:-1] for w in wanted if w[-1] == "="])
    if signature:
        raise FkitTypeError(f"{lead} {name}{signature} cannot be called as {name}({arguments}).", repair=repair)


def misfit(function: Callable[..., Any], places: Iterable[str], names: Iterable[str] = ()) -> str:
    """The arguments that a function takes, as text, where a call does not fit them; "" where it does, or where nobody can
    say what it takes.

    Args:
        places: what is given by place.
        names: what is given by name.

    Example:
        >>> misfit(lambda a: a, ["a"]), misfit(lambda a: a, ["a", "b"])
        ('', '(a)')
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return ""
    try:
        signature.bind(*places, **dict.fromkeys(names))
    except TypeError:
        bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
        return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return ""


# modules whose values a user knows by what they hold
_PLAIN = ("builtins", "fkit.tree.node", "fkit.config.", "fkit.structures.")


def title(value: Any) -> str:
    """A part by the name that its author knows it by.

    Example:
        >>> title(dict), title(len), title(3)
        ('dict', 'len', '3')
    """
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return name.rpartition("<locals>.")[2]
    kind = type(value)
    plain = kind.__module__.startswith(_PLAIN)
    return quoted(value, 60) if plain else kind.__qualname__.rpartition("<locals>.")[2]


def _indented(text: str) -> str:
    return "".join(f"\n      {line}" for line in text.strip("\n").splitlines())
