"""LabelData: what an image is as a whole."""

from typing import Any, cast

import numpy as np

from fkit.structures.content import concrete, host, is_array, of_family
from fkit.structures.element import DataElement
from fkit.structures.index import whole
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["LabelData"]


class LabelData(DataElement):
    """Labels or scores of a whole image, and the two forms that several labels have.

    Example:
        >>> import numpy as np
        >>> x = LabelData(label=np.array([1, 3]))
        >>> LabelData.label_to_onehot(x.label, num_classes=4)
        array([0, 1, 0, 1])
        >>> LabelData.onehot_to_label(np.array([0, 1, 0, 1]))
        array([1, 3])
    """

    __slots__ = ()

    @staticmethod
    def onehot_to_label(onehot: Any) -> Any:
        """The classes at which a vector of 0 and 1 has 1.

        Args:
            onehot: (K,) array of 0 and 1.

        Returns:
            (N,) int64, ascending, of the same library.

        Raises:
            FkitValueError: not one axis, or other numbers.
            FkitTypeError: not an array, or one that is being traced.
        """
        array = _vector(onehot, "onehot")
        if not np.isin(array, (0, 1)).all():
            raise FkitValueError("`onehot` holds 0 and 1 only.")
        return of_family(np.flatnonzero(array), onehot)

    @staticmethod
    def label_to_onehot(label: Any, num_classes: int) -> Any:
        """The vector of 0 and 1 that has 1 at the given classes.

        Args:
            label: (N,) array of ints, each in [0, num_classes).
            num_classes: K.

        Returns:
            (K,) int64 of the same library.

        Raises:
            FkitValueError: not one axis, or a class outside.
            FkitTypeError: not an array of ints, or ``num_classes`` no int.
        """
        classes = whole(num_classes)
        if classes is None or classes < 0:
            raise FkitTypeError(f"`num_classes` is a number of classes, not {quoted(num_classes)}.")
        array = _vector(label, "label")
        if array.size and not np.issubdtype(array.dtype, np.integer):
            raise FkitTypeError(f"`label` holds ints, not {array.dtype}.")
        outside = array[(array < 0) | (array >= classes)]
        if outside.size:
            raise FkitValueError(f"the label {outside[0]} is outside of the {classes} classes 0 to {classes - 1}.")
        onehot = np.zeros(classes, np.int64)
        onehot[array.astype(np.int64)] = 1
        return of_family(onehot, label)


def _vector(value: Any, name: str) -> Any:
    if not is_array(value):
        raise FkitTypeError(f"`{name}` is an array, not a {type(value).__name__}.")
    if not concrete(value):
        raise FkitTypeError(f"`{name}` has no numbers yet: it is being traced.", repair="Call it outside of jit.")
    array = host(value)
    if array.dtype.kind not in "biuf":
        raise FkitTypeError(f"`{name}` holds numbers, not {array.dtype}.")
    if array.ndim != 1:
        raise FkitValueError(f"`{name}` has one axis, not the shape {array.shape}.")
    return cast(Any, array)
