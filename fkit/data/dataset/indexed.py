"""What a dataset is to the loader: a length, raw samples by number, and the pipeline that makes them ready."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Protocol, cast

from fkit.catalog.entry import Built
from fkit.data.transform.compose import Compose
from fkit.data.transform.transform import Sample
from fkit.tree.check import expect_number
from fkit.tree.error import FkitIndexError

__all__ = ["PIPELINE", "Indexed", "Pipeline", "checked", "compose"]

Pipeline = Annotated[Iterable[Any], Built("transforms")]


class Indexed(Protocol):
    """What `fkit.data.loader.Loader` reads: a length, raw samples, and the pipeline that makes them ready; see `Dataset`.

    What has a ``pipeline`` that is a `Compose` (see `compose`) gives raw samples. Any other gives them ready for
    `fkit.data.collate.collate`. Around each call of a dataset that is not the kit's the global generators (numpy's,
    ``random``'s, torch's) are seeded from the sample's key, so that what it draws from them is the run's. One
    that keeps a generator of its own and draws from it gives other samples for other numbers of workers: let it make one
    from a global number, or be a transform, which is given one. ``metainfo`` (``classes``, ...) may be absent, and so may
    ``fingerprint``, text that says which samples there are (see `fkit.data.identity.describe`).
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample:
        """The raw sample ``index``, the same at every call; it has ``sample_idx``."""
        ...


def compose(pipeline: Any) -> Compose:
    """A pipeline as one transform: a list of transforms, or one transform, put into a Compose."""
    if isinstance(pipeline, Compose):
        return pipeline
    if isinstance(pipeline, Iterable) and not isinstance(pipeline, Mapping):
        return Compose(cast("Iterable[Any]", pipeline))
    return Compose((cast(Any, pipeline),))


def checked(index: int, count: int, name: str) -> int:
    """``index`` among ``count``, negative ones counted from the end.

    Raises:
        FkitIndexError: it is outside; an IndexError, so that a ``for`` over a dataset ends.
        FkitTypeError: it is no whole number.
    """
    if type(index) is not int:
        expect_number(index, f"{name}: a sample's number", whole=True)
    if not -count <= index < count:
        raise FkitIndexError(f"{name}[{index}]: there are {count} samples.")
    return int(index) % count


class _Pipeline:
    """The field ``pipeline``: what is put in comes out as one transform, also of a class with a ``__post_init__``."""

    def __get__(self, dataset: Any, kind: Any = None) -> Any:
        return () if dataset is None else vars(dataset)["pipeline"]

    def __set__(self, dataset: Any, pipeline: Any) -> None:
        vars(dataset)["pipeline"] = compose(pipeline)


PIPELINE: Any = _Pipeline()
"""The default of a field ``pipeline``, which composes what is put in."""
