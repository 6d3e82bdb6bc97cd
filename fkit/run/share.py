"""Among how many devices of this process a run's steps are shared."""

from dataclasses import replace

from fkit.catalog.report import placed
from fkit.recipe.settings import Settings
from fkit.training.backend import Backend
from fkit.tree.check import expect
from fkit.tree.error import FkitError

__all__ = ["shared"]


def shared(room: Backend, settings: Settings, trains: bool = True) -> Settings:
    """The settings with the number of devices that share a step, as the backend decides it.

    Args:
        trains: whether numbers hang on it. What a run has kept of itself predicts on as many devices as there are.

    Raises:
        FkitError: so many are not there, or the backend shares steps in no such way.
    """
    expect(settings, Settings, "`settings` are a run's (fkit.recipe.settings.read(cfg) gives them)")
    try:
        count = room.devices(settings.devices, settings.device, settings.parallel)
    except FkitError as error:
        path = error.path or "devices"
        if not trains and settings.tree.origin(path) != "the command line":
            return replace(settings, devices=room.devices(None, settings.device, settings.parallel))
        raise placed(error, "", path, settings.tree.origin(path)) from error.__cause__
    return settings if count == (settings.devices or 1) else replace(settings, devices=count)
