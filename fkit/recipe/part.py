"""A part of a run's config, with its place."""

from typing import Any, NamedTuple

__all__ = ["Part"]


class Part(NamedTuple):
    """A part of a run before it is built.

    Attributes:
        path: where it stands in the config: "model", "param_scheduler[1]", "default_hooks.logger".
        node: its config; a mapping with ``type``, or a list of them.
        name: of a hook: its key; of a schedule: the one optimizer that it is for.
    """

    path: str
    node: Any
    name: str = ""
