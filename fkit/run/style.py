"""How a plan's lines of the log are worded: from the config's ``log_processor``."""

from fkit.catalog.registry import Registry
from fkit.config.config import Config
from fkit.recipe.settings import Part, Settings
from fkit.recipe.source import build_part, said_at
from fkit.recipe.vocabulary import name_of
from fkit.run.course import Course
from fkit.run.hook.processor import Style
from fkit.tree.check import expect
from fkit.tree.contract import Contract, expect_contract
from fkit.tree.error import FkitError

__all__ = ["style_of"]

_PROCESSOR = Contract(
    "log processor",
    (("fresh", "name"), ("longest", "name"), ("after_iter", "mode, scalars, at, eta, memory"),
     ("after_epoch", "mode, scalars, at")),
    """
as fkit.run.hook.processor.LogProcessor has them; derive from it, and change what you want otherwise.""",
)  # fmt: skip


def style_of(settings: Settings, registry: Registry, course: Course) -> Style:
    """How the run's lines are worded; they count epochs where the run does, unless ``log_processor`` says otherwise."""
    expect(settings, Settings, "`settings` are a config, read")
    log = settings.log
    node = log.processor if log.processor is not None else Part("log_processor", Config({"type": "LogProcessor"}))
    processor = build_part(node, settings, registry, "log_processors", defaults={"by_epoch": course.by_epoch})
    try:
        expect_contract(processor, _PROCESSOR)
    except FkitError as error:
        raise said_at(error, node.path, settings) from error
    timed = any(name_of(part.node["type"]) == "IterTimerHook" for part in settings.hooks)
    epochs = course.limit if course.by_epoch else 0
    return Style(processor, course.by_epoch, epochs, bool(log.writers), timed, log.name or "")
