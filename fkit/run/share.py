"""Among how many devices of this process a run's steps are shared."""

from dataclasses import replace

from fkit.catalog.report import placed
from fkit.recipe.settings import Settings
from fkit.training.backend import Backend
from fkit.tree.check import expect
from fkit.tree.error import FkitError

__all__ = ["shared"]


def shared(room: Backend, settings: Settings) -> Settings:
    """The settings with the number of devices that share a step, as the backend decides it.

    Raises:
        FkitError: so many are not there, or the backend shares steps in no such way.
    """
    expect(settings, Settings, "`settings` are a run's (fkit.recipe.settings.read(cfg) gives them)")
    try:
        count = room.devices(settings.devices, settings.device, settings.parallel)
    except FkitError as error:
        path = error.path or "devices"
        raise placed(error, "", path, settings.tree.origin(path)) from error.__cause__
    return settings if count == (settings.devices or 1) else replace(settings, devices=count)
