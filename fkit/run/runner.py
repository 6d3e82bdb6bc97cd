"""``runner_type`` of a config: what folds events over its run."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fkit.catalog.registry import Registry
from fkit.recipe.settings import Settings
from fkit.recipe.source import said_at
from fkit.tree.check import expect_call
from fkit.tree.contract import expect_fit, title
from fkit.tree.error import FkitError

__all__ = ["runner_of"]

_RUNNER = """A runner is a function (plan, run, data, inbox) that yields (run, effects), as fkit.train does. For example:
    def my_runner(plan, run, data, inbox):
        for run, effects in fkit.run.loop.standard(plan, run, data, inbox):
            yield run, (*effects, WriteText(f"step {run.iteration}"))"""


def runner_of(settings: Settings, registry: Registry) -> Callable[..., Any] | None:
    """What ``runner_type`` names; None where it names none.

    Raises:
        FkitError: it is no runner.

    Example:
        >>> from fkit.catalog.builtin import registry
        >>> from fkit.config.config import Config
        >>> from fkit.recipe.settings import read
        >>> runner_of(read(Config({"seed": 3})), registry()) is None
        True
    """
    node = settings.tree.get("runner_type")
    if node is None:
        return None
    kind, options = (node.get("type"), dict(node)) if isinstance(node, Mapping) else (node, {})
    options.pop("type", None)
    try:
        named = isinstance(kind, str)
        maker: Any = registry.find("runners", kind, settings.default_scope).recipe.call if named else kind
        expect_call(maker, "runner_type is the name of a runner, or a function")
        function = partial(maker, **options)
        word = str(kind) if named else title(kind)
        expect_fit(function, word, "plan, run, data, inbox", f"{word} is no runner: its", _RUNNER)
    except FkitError as error:
        raise said_at(error, "runner_type", settings) from error.__cause__
    return function
