"""What data a source gives, in a few words that JSON can hold: a resumed run compares them with those of before."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from fkit.data.digest import digest_of_arrays, digest_of_names
from fkit.data.loader import Loader
from fkit.data.source import Listed, Source
from fkit.structures.content import is_array
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, quoted

__all__ = ["changes", "classes_of", "describe", "metainfo_of"]

_SHOWN = 5


def describe(source: Source) -> dict[str, Any]:
    """A source's data: how much of it there is, its classes, and a digest of the list of its samples.

    Args:
        source: any. Of a `Loader` the dataset is described: its length, the ``classes`` of its metainfo, and its
            ``fingerprint`` where it has one (text, or a function that gives it): `ImageFolder`'s are the files' names and
            labels, `Digits`' are the arrays' bytes. torch's and torchvision's datasets are
            known by what they keep by custom. What is not known of a dataset is left out.

    Returns:
        ``{"batches": int, "samples": int, "classes": [...], "digest": "..."}``, those that are known; no file is read.

    Raises:
        FkitTypeError: it is no source, or a fingerprint is no text.

    Example:
        >>> from fkit.data.dataset import Digits
        >>> found = describe(Loader(Digits("test"), batch_size=100))
        >>> found["batches"], found["samples"], found["classes"][:2], len(found["digest"])
        (4, 360, ['0', '1'], 32)
    """
    if isinstance(source, Loader):
        samples, classes, digest = len(source.dataset), classes_of(source.dataset), _fingerprint(source.dataset)
    elif isinstance(source, Listed):
        batches = source.items
        samples, classes = sum(len(batch) for batch in batches), None
        digest = digest_of_arrays(
            array for batch in batches for part in (batch.inputs, batch.targets, batch.valid) for array in _arrays(part)
        )
    else:
        expect(source, Source, "`source` is a source (fkit.Source.of makes one of batches)")
        samples, classes, digest = None, classes_of(source), _fingerprint(source)
    known = {"batches": source.length, "samples": samples, "classes": classes, "digest": digest}
    return {name: value for name, value in known.items() if value is not None}


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """What differs between two descriptions, a line each; nothing where they agree. What only one knows is no change.

    Example:
        >>> changes({"samples": 9, "classes": ["cat", "dog"]}, {"samples": 8, "classes": ["dog", "emu"]})
        ("classes: 'cat' is gone, 'emu' is new", 'samples: 9 -> 8')
    """
    expect(then, Mapping, "`then` is what `describe` gave")
    expect(now, Mapping, "`now` is what `describe` gives")
    lines: list[str] = []
    for name in ("classes", "samples", "batch", "batches"):
        old, new = then.get(name), now.get(name)
        if old is None or new is None or old == new:
            continue
        lines.append(f"{name}: {_between(old, new) if name == 'classes' else f'{old} -> {new}'}")
    old, new = then.get("digest"), now.get("digest")
    if not lines and old is not None and new is not None and old != new:
        lines.append(f"the samples are others, as many as before (digest {str(old)[:8]} -> {str(new)[:8]})")
    return tuple(lines)


def _between(old: Any, new: Any) -> str:
    """How one list of classes became another."""
    before, after = list(old), list(new)
    lost = [f"{name!r} is gone" for name in before if name not in after]
    come = [f"{name!r} is new" for name in after if name not in before]
    said = [*lost[:_SHOWN], *come[:_SHOWN]]
    more = len(lost) + len(come) - len(said)
    if not said:
        return "they are in another order, so labels mean others"
    return ", ".join(said) + (f", and {more} more" if more else "")


def classes_of(part: Any) -> list[str] | None:
    """The names of a dataset's classes: of its metainfo, as mmengine has it, else its attribute ``classes``, as torchvision
    has it; None where it has neither. Of a dataset's class these are what it says of all its instances.

    Example:
        >>> from fkit.data.dataset import Digits
        >>> classes_of(Digits("test")) == classes_of(Digits) == list("0123456789"), classes_of([])
        (True, None)
    """
    metainfo: Any = getattr(part, "metainfo", None)
    if not isinstance(metainfo, Mapping):  # mmengine's classes spell theirs so
        metainfo = getattr(part, "METAINFO", None)
    said: Any = cast("Mapping[str, Any]", metainfo).get("classes") if isinstance(metainfo, Mapping) else None
    said = getattr(part, "classes", None) if said is None else said
    if isinstance(said, str) or not isinstance(said, Sequence):
        return None
    return [str(name) for name in cast("Sequence[Any]", said)]


def metainfo_of(source: Source) -> Mapping[str, Any]:
    """What a source's dataset says of itself; where it has no metainfo, its ``classes`` alone. Of datasets one after the
    other also ``cumulative_sizes``: how many samples there are up to the end of each.

    Example:
        >>> from fkit.data.dataset import Digits
        >>> metainfo_of(Loader(Digits("test"), batch_size=100))["classes"][:2]
        ('0', '1')
    """
    expect(source, Source, "`source` is a source (fkit.Source.of makes one of batches)")
    part: Any = source.dataset if isinstance(source, Loader) else source
    metainfo: Any = getattr(part, "metainfo", None)
    known = dict(cast("Mapping[str, Any]", metainfo)) if isinstance(metainfo, Mapping) else {}
    classes, sizes = classes_of(part), getattr(part, "cumulative_sizes", None)
    if isinstance(sizes, (list, tuple)):
        known = {"cumulative_sizes": tuple(cast("tuple[int, ...]", sizes)), **known}
    return {**known, "classes": tuple(classes)} if classes is not None else known


def _fingerprint(part: Any) -> str | None:
    said: Any = getattr(part, "fingerprint", None)
    text = said() if callable(said) else said
    if text is None:
        return _by_custom(part)
    if isinstance(text, str):
        return text
    raise FkitTypeError(
        f"{type(part).__name__}.fingerprint is {quoted(text)}, not text.",
        repair="Let it be a digest of the list of samples: fkit.data.digest.digest_of_names makes one.",
    )


def _by_custom(part: Any) -> str | None:
    """A digest of what torch's and torchvision's datasets keep by custom: ``samples`` [(path, label)] below ``root``;
    ``tensors``; or ``data`` and ``targets``."""
    rows: Any = getattr(part, "samples", None)
    if isinstance(rows, list) and rows and isinstance(rows[0], tuple):
        try:
            return digest_of_names(cast("list[tuple[str, Any]]", rows), str(getattr(part, "root", "")))
        except FkitTypeError:  # rows of another kind
            return None
    tensors: Any = getattr(part, "tensors", None)
    if isinstance(tensors, tuple) and all(is_array(one) for one in cast("tuple[Any, ...]", tensors)):
        return digest_of_arrays(cast("tuple[Any, ...]", tensors))
    data: Any = getattr(part, "data", None)
    return digest_of_arrays((data, getattr(part, "targets", ()))) if is_array(data) else None


def _arrays(part: Any) -> Iterable[Any]:
    if isinstance(part, Mapping):
        named = cast("Mapping[str, Any]", part)
        for name in sorted(named):
            yield from _arrays(named[name])
    elif isinstance(part, (list, tuple)):
        for one in cast("Iterable[Any]", part):
            yield from _arrays(one)
    else:
        yield part
