"""Words of the command line that reach nothing: a key that no part takes, a variable that was read before them."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from fkit.config.change.override import Typed, typed_words
from fkit.config.change.word import read_word
from fkit.config.config import Config
from fkit.config.origin import chain
from fkit.config.schema import rows, shape_at
from fkit.recipe.key import HOOKS, KEYS, NAMES
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError
from fkit.tree.path import Path, parse, show
from fkit.tree.tree import put

__all__ = ["judge"]

_NAMED = 3  # places that an error names


def judge(cfg: Config, known: Config) -> None:
    """Refuse a word that changes nothing of a run. One with ``:=`` is meant as it is.

    A key of a table that is described was checked; one of a part (a mapping with ``type``) is left to what is built; one
    of mmcv's was taken up by the translation.

    Args:
        cfg: the config with its words.
        known: the same in mmengine's keys.

    Raises:
        FkitKeyError: a word that made a key of which nothing is known, or that changes a variable of the file: what was
            made of it stands in the config already.
        FkitValueError: a word without a key.
    """
    words = typed_words(cfg)
    for word in words:
        path = parse(word.key)
        if not path:
            raise FkitValueError(f"{word.text!r} names no key.", repair="Write model.depth=18.")
        if str(path[0]) not in known:
            continue
        if word.new and not _is_taken(cfg, path):
            raise _unknown(cfg, known, word, path)
        if not word.new and path[0] not in NAMES:
            raise _late(cfg, words, word, path)


def _is_taken(cfg: Config, path: Path) -> bool:
    """Whether something of the run reads a key that is new, or was checked to."""
    if len(path) == 1 or path[0] not in NAMES:
        return path[0] in NAMES
    shape = shape_at(KEYS, path[:-1])
    if shape is not None and (shape.keys or any(one.part for one in (shape, *shape.options))):
        return True
    parent: Any = cfg.get(show(path[:-1]))
    return isinstance(parent, list) or "type" in parent


def _unknown(cfg: Config, known: Config, word: Typed, path: Path) -> FkitError:
    declare = f"Write {word.key}:=... to declare it new."
    text = read_word(word.text).written
    paths = _paths(known)
    for tail, below in ((path, ()), (path[:-1], path[-1:]), (path[-1:], ())):
        places = [(*place, *below) for place in paths if tail and place[-len(tail) :] == tail and place != path]
        if places and (tail != path[:-1] or path[0] not in NAMES):
            return FkitKeyError(
                f"{word.text!r}: {word.key} is in no file of the config, and no part takes it.",
                path=word.key,
                repair=f"Did you mean {_either(places, text)}? {declare}",
            )
    parent: Any = cfg if len(path) == 1 else cfg.get(show(path[:-1]))
    return FkitKeyError(
        f"{word.text!r}: {word.key} is in no file of the config, and no part takes it.",
        path=word.key,
        value=str(path[-1]),
        choices=tuple(name for name in (*parent, *(NAMES if len(path) == 1 else ())) if name != path[-1]),
        label="Keys",
        more="fkit config show CONFIG --run",
        repair=declare,
    )


def _late(cfg: Config, words: tuple[Typed, ...], word: Typed, path: Path) -> FkitError:
    before = cfg
    for other in words:
        settings = chain(cfg, other.key)
        if not other.new and len(settings) > 1:
            before = put(before, parse(other.key), settings[1].value)
    places = [(*place, *path[1:]) for place in _copies(before, path[0], before[path[0]])]
    written = read_word(word.text).written
    change = f"What was made of it stands elsewhere: write {_either(places, written)}." if places else ""
    settings = chain(cfg, word.key)
    return FkitKeyError(
        f"{word.text!r}: {path[0]} is a variable of the file, which was read before this word: no part sees the change.",
        path=word.key,
        origin=settings[1].place if len(settings) > 1 else None,
        repair="\n  ".join(part for part in (change, f"{word.key}:={written} changes the variable alone.") if part),
    )


def _copies(cfg: Config, name: Any, value: Any) -> Iterator[Path]:
    """Where in the run's own keys a variable's value stands: a number or a flag under its name, any other wherever."""
    telling = isinstance(value, (Mapping, list, tuple, str)) and len(cast("Any", value)) > 0
    for path, other in _inside({key: item for key, item in cfg.items() if key in NAMES}, ()):
        if type(other) is type(value) and other == value and (telling or path[-1] == name):
            yield path


def _paths(known: Config) -> list[Path]:
    """The paths of what a run's own keys hold, and of those that are described."""
    there = [path for path, _ in _inside({key: item for key, item in known.items() if key in NAMES}, ())]
    described = [tuple(path.split(".")) for path, _ in rows(KEYS)]
    return list(dict.fromkeys((*there, *described, *(("default_hooks", name) for name in HOOKS))))


def _inside(value: Any, above: Path) -> Iterator[tuple[Path, Any]]:
    if above:
        yield above, value
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[Any, Any]", value).items():
            yield from _inside(item, (*above, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _inside(item, (*above, index))


def _either(places: list[Path], written: str) -> str:
    texts = [f"{show(place)}={written}" for place in places[:_NAMED]]
    more = f" ({len(places) - _NAMED} more)" if len(places) > _NAMED else ""
    return " or ".join(texts) + more
