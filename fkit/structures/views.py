"""A batch of several views of the same images: what test-time augmentation is predicted on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fkit.structures.batch import Batch
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["Views", "several_of", "views_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Views(Batch):
    """Several views of the same images, flipped or scaled, a batch each. As a batch it is the first view that is not flipped:
    what is predicted of all is measured against that one's targets, and drawn on its images.

    Attributes:
        views: the batches, in the order in which the pipeline gives the views.

    Example:
        >>> import numpy as np
        >>> plain, turned = (Batch(np.full((2, 1), n), meta=({"flip": bool(n)},) * 2) for n in (0, 1))
        >>> both = Views.of([turned, plain])
        >>> len(both), both.inputs.tolist(), len(both.views)
        (2, [[0], [0]], 2)
    """

    views: tuple[Batch, ...] = ()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Views) and Batch.__eq__(self, other) is True and self.views == other.views

    @staticmethod
    def of(views: Iterable[Batch]) -> "Views":
        """The views as one batch.

        Raises:
            FkitError: there is none, or they are of unlike numbers of images.
        """
        expect(views, Iterable, "Views.of: `views` are batches, one a view")
        several = tuple(views)
        for view in several:
            expect(view, Batch, "Views.of: a view is a Batch")
        counts = sorted({len(view) for view in several})
        if len(counts) != 1:
            what = "there is none" if not counts else f"of {' and '.join(map(str, counts))} images"
            raise FkitValueError(f"views of the same images: {what}.")
        main = next((view for view in several if not any(map(_flipped, view.meta))), several[0])
        return Views(main.inputs, main.targets, main.valid, main.meta, several)


def views_of(batch: Batch) -> tuple[Batch, ...]:
    """The views of a batch; itself, where there are no others.

    Example:
        >>> import numpy as np
        >>> len(views_of(Batch(np.zeros((2, 1)))))
        1
    """
    expect(batch, Batch, "`batch` is a Batch")
    return batch.views if isinstance(batch, Views) else (batch,)


def several_of(batch: Batch) -> tuple[Batch, ...]:
    """The views of a batch that has some.

    Raises:
        FkitValueError: it is one of single images.

    Example:
        >>> import numpy as np
        >>> one = Batch(np.zeros((2, 1)))
        >>> len(several_of(Views.of([one, one])))
        2
    """
    expect(batch, Batch, "`batch` is a Batch")
    if not isinstance(batch, Views):
        raise FkitValueError(
            "tta_pipeline gives one view of an image, and test-time augmentation merges several.", path="tta_pipeline",
            repair="Let its last steps be dict(type='TestTimeAug', transforms=[[...], [...]]), of which each view takes one a list.",
        )  # fmt: skip
    return batch.views


def _flipped(meta: Mapping[str, Any]) -> bool:
    return bool(meta.get("flip"))
