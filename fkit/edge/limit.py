"""What the system lets a process have at once."""

import sys

from fkit.recipe.settings import Settings

__all__ = ["open_files"]


def open_files(settings: Settings) -> str:
    """Let this process, and those it starts, have as many files open as ``env_cfg.resource_limit`` says at least, as far as
    the system lets it; where nothing is said, or more are allowed already, nothing changes.

    Returns:
        what a person should be told, or "".
    """
    asked = settings.environment.open_files
    if asked is None or sys.platform == "win32":  # Windows has no such limit
        return ""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = asked if hard == resource.RLIM_INFINITY else min(asked, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return f"env_cfg.resource_limit = {asked}: the system allows {most} open files." if most < asked else ""
