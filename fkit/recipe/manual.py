"""The description of a run's keys as text: a table for the README, and a config with a line on each key."""

from collections.abc import Mapping

from fkit.config.config import Config
from fkit.config.schema import Key, rows
from fkit.recipe.key import KEYS, NAMES

__all__ = ["annotated", "table_text"]

_TWICE = ("val_dataloader.", "test_dataloader.")  # tables that have the keys of one that was shown


def table_text() -> str:
    """The keys as a table of Markdown: the README's.

    Example:
        >>> print(table_text().splitlines()[2])
        | `model` | a mapping with 'type' | | the model |
    """
    lines = ["| key | what it holds | default | |", "|---|---|---|---|"]
    for path, key in rows(KEYS):
        if not path.startswith(_TWICE):
            default = f" `{key.default!r}` " if _is_plain(key) else " "
            lines.append(f"| `{path}` | {key.shape.words} |{default}| {key.doc} |")
    return "\n".join(lines)


def annotated(tree: Config) -> str:
    """A settled config as Python text that reads to the same tree: every key of a run with a line on what it is, then the
    user's own variables.

    Example:
        >>> print("\\n".join(annotated(Config({"seed": 3, "mine": 1})).splitlines()[-5:]))
        # code of one's own that registers parts
        # custom_imports = None
        <BLANKLINE>
        # variables of the config's own
        mine = 1
    """
    parts: list[str] = []
    for key in KEYS:
        value = tree.get(key.name)
        text = f"# {key.name} = None\n" if value is None else Config({key.name: value}).text("python")
        parts.append(f"# {key.doc}\n{text}")
    own = {name: value for name, value in tree.items() if name not in NAMES}
    if own:
        parts.append(f"# variables of the config's own\n{Config(own).text('python')}")
    return "\n".join(parts)


def _is_plain(key: Key) -> bool:
    return key.default is not None and not isinstance(key.default, Mapping)
