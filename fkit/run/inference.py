"""Predictions on images that stand alone, in batches and in their order; an image that is at fault ends none of them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fkit.recipe.inference import Pictures
from fkit.run.attempt import attempt
from fkit.structures.apart import unpadded
from fkit.training.backend import Backend
from fkit.training.program import Program
from fkit.training.state import TrainState
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitError, FkitValueError

__all__ = ["Prediction", "predict_images"]


class Prediction(NamedTuple):
    """A batch of images through a model.

    Attributes:
        indices: of its images, those that are at fault between them.
        errors: index -> why an image could not be read.
        outputs: what the model predicted of the others, in order, on the host; None where there are none.
        metas: of these others.
    """

    indices: tuple[int, ...]
    errors: Mapping[int, FkitError]
    outputs: Any
    metas: tuple[Mapping[str, Any], ...] = ()


def predict_images(
    program: Program, room: Backend, state: TrainState, pictures: Pictures, batch_size: int = 1
) -> Iterator[Prediction]:
    """Predict image files.

    Args:
        program: of the model.
        room: of the program.
        state: its weights.
        pictures: the files (`fkit.recipe.inference.open_pictures`).
        batch_size: images that the model is given at once, at most; images of one batch have one shape.

    Yields:
        each batch, in the order of the files.

    Raises:
        FkitError: the pipeline reads what such an image has not, or its samples make no batch.
        RunError: the model raised.
    """
    expect(pictures, Pictures, "`pictures` are image files (fkit.recipe.inference.open_pictures gives them)")
    expect_number(batch_size, "batch_size", whole=True)
    if batch_size < 1:
        raise FkitValueError(f"batch_size = {batch_size}: at least 1.")
    indices: list[int] = []
    samples: list[Any] = []
    errors: dict[int, FkitError] = {}

    def predicted() -> Prediction:
        outputs: Any = None
        metas: tuple[Mapping[str, Any], ...] = ()
        if samples:
            batch, place = pictures.batch(samples), f"image {indices[0] + 1}, batch of"
            outputs = room.host(attempt("the model", place, len(samples), program.predict, state, batch))
            outputs, metas = unpadded(outputs, batch), batch.meta
        one = Prediction(tuple(indices), dict(errors), outputs, metas)
        indices.clear()
        samples.clear()
        errors.clear()
        return one

    for index in range(len(pictures)):
        sample = pictures.look(index)
        if isinstance(sample, FkitError):
            errors[index] = sample
        else:
            if samples and pictures.form(sample) != pictures.form(samples[0]):
                yield predicted()
            samples.append(sample)
        indices.append(index)
        if len(samples) == batch_size or len(indices) >= 4 * batch_size:
            yield predicted()
    if indices:
        yield predicted()
