"""What a config says of images that stand alone: its test pipeline, run on one file after the other, without targets."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.array.random import generator, key
from fkit.catalog.registry import Registry
from fkit.catalog.report import origin_of
from fkit.config.schema import PART, check, listed
from fkit.data.ambient import repeatable, reseed
from fkit.data.collate import Collate, collate
from fkit.data.dataset.indexed import checked
from fkit.data.transform.compose import Streams
from fkit.data.transform.foreign import as_transform
from fkit.data.transform.loading import LoadImageFromFile, LoadImageFromNDArray
from fkit.data.transform.pose.box import GetBBoxCenterScale, WholeBox
from fkit.data.transform.transform import Sample, Transform, is_random, of_others
from fkit.recipe.label import datasets_of, skeleton_of
from fkit.recipe.preprocess import joined_by
from fkit.recipe.settings import Part, Settings
from fkit.recipe.source import build_part, said_at
from fkit.recipe.spec import data_example
from fkit.recipe.vocabulary import name_of
from fkit.structures.batch import Batch
from fkit.structures.content import is_array
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitKeyError, FkitOSError, FkitValueError, like
from fkit.tree.frozen import frozen
from fkit.tree.path import parse
from fkit.tree.place import is_url
from fkit.tree.trace import blamed

__all__ = ["Pictures", "Step", "example_of", "open_pictures"]

_SIDE = 64  # of a blank picture, pixels
_TARGETS = ("LoadAnnotations", "LoadPanopticAnnotations", "LoadProposals")


class Step(NamedTuple):
    """One step of the pipeline.

    Attributes:
        path: where it stands in the config.
        origin: the file and line that say it.
        name: of its class.
        transform: what it does.
    """

    path: str
    origin: str | None
    name: str
    transform: Transform


@dataclass(frozen=True)
class Pictures:
    """Image files that stand alone, as a dataset: a sample is what the pipeline makes of a file.

    Attributes:
        paths: of the files; "" where an image is at hand.
        arrays: number -> such an image, (H, W, C) uint8 BGR: the step that would read its file takes it instead.
        known: what else the samples have, one mapping an image; or none.
        path: of the pipeline in the config.
        steps: those that are run.
        skipped: "path (name)" of each that loads targets, which images alone have not.
        settings: of the run.
        join: samples -> Batch: the dataloader's ``collate_fn``.
    """

    paths: tuple[str, ...]
    path: str
    steps: tuple[Step, ...]
    skipped: tuple[str, ...]
    settings: Settings
    join: Callable[[Sequence[Any]], Batch] = collate
    arrays: Mapping[int, NDArray[Any]] = frozendict()
    known: tuple[Mapping[str, Any], ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        """The sample of a file.

        Raises:
            FkitError: the file is at fault, or the pipeline is.
        """
        sample = self.look(checked(index, len(self), "Pictures"))
        if isinstance(sample, FkitError):
            raise sample
        return sample

    def of(self, images: Sequence[NDArray[Any]]) -> "Pictures":
        """Other images, (H, W, C) uint8 BGR, that are at hand, through the same steps."""
        expect(images, (list, tuple), "`images` are arrays, (H, W, C) uint8, in a list")
        known = self.known[:1] * len(images)
        return replace(self, paths=("",) * len(images), arrays=frozendict(enumerate(images)), known=known)

    def look(self, index: int) -> Any:
        """The sample of a file; where the file is at fault, the error, as a value.

        Raises:
            FkitKeyError: a step reads what an image that stands alone has not: no other image would do.
        """
        fault = "" if index in self.arrays else _unfit(self.paths[index])
        if fault:
            kind = FkitOSError if os.path.exists(self.paths[index]) else FkitFileNotFoundError
            return kind(f"{self.paths[index]} {fault}.")
        of = key(self.settings.seed or 0, "data", 0, index)
        if any(of_others(step.transform) for step in self.steps):
            return repeatable(partial(self._seeded, index, of))
        return self._ready(index, of)

    def batch(self, samples: Sequence[Any]) -> Batch:
        """Samples as a batch.

        Raises:
            FkitError: they do not fit together, or the pipeline does not make what a batch is made of.
        """
        try:
            batch: Any = self.join(samples)
        except FkitError as error:
            raise said_at(error, self.path, self.settings) from error
        expect(batch, Batch, f"{self.path}: the dataloader's collate_fn gives a fkit.Batch")
        return batch

    def form(self, sample: Any) -> Any:
        """What samples of one batch have in common; a ``collate_fn`` of the user's may join any."""
        strict = self.join is collate or (isinstance(self.join, Collate) and not self.join.pad)
        return _form(sample) if strict else None

    def _seeded(self, index: int, of: tuple[int, int]) -> Any:
        reseed(of[0])
        return self._ready(index, of)

    def _ready(self, index: int, of: tuple[int, int]) -> Any:
        fetch = _Others(self.paths, self.arrays, self.known)
        sample: Any = fetch(index)
        draws = generator(of) if any(is_random(step.transform) for step in self.steps) else None
        steps = self.steps if index not in self.arrays else tuple(map(_at_hand, self.steps))
        streams = Streams(tuple(step.transform for step in steps), draws, fetch)
        for place, step in enumerate(steps):
            try:
                sample = step.transform(sample, *streams(place))
            except Exception as cause:
                lacks = _lacking(cause, sample)
                if lacks is not None:
                    raise _without(step, lacks, sample, cause) from cause
                error = _said(step, self._name(index), cause)
                error.__cause__ = cause
                return error
            if sample is None:  # how OpenMMLab's transforms say that a sample is of no use
                return FkitValueError(
                    f"{self._name(index)}: {step.path} ({step.name}) gave None: it takes no such image."
                )
        return sample

    def _name(self, index: int) -> str:
        return f"image {index + 1}" if index in self.arrays else self.paths[index]


@dataclass(frozen=True)
class _Others:
    """The files as raw samples, for transforms that mix several (`fkit.data.transform.transform.Fetch`)."""

    paths: tuple[str, ...]
    arrays: Mapping[int, NDArray[Any]] = frozendict()
    known: tuple[Mapping[str, Any], ...] = ()

    def __call__(self, index: int) -> Sample:
        image = {"img": self.arrays[index]} if index in self.arrays else {"img_path": self.paths[index]}
        return frozen({**(self.known[index] if self.known else {}), **image, "sample_idx": index})

    def __len__(self) -> int:
        return len(self.paths)


def open_pictures(
    settings: Settings,
    registry: Registry,
    paths: Sequence[str | NDArray[Any]],
    pipeline: Sequence[Any] | None = None,
    known: Sequence[Mapping[str, Any]] = (),
) -> Pictures:
    """Images as a config reads them: by test's pipeline, else val's.

    Args:
        paths: of files; or images themselves, (H, W, C) uint8 in the order that a file's reader would give (BGR).
        pipeline: configs of steps in place of the config's.
        known: what else the samples have, one mapping an image (``bbox``, of a top-down estimator of poses; without it the whole
            picture is the box).

    Steps that are known to load targets (LoadAnnotations, LoadPanopticAnnotations, LoadProposals, of any scope) are left
    out.

    Raises:
        FkitKeyError: no dataset has a pipeline.
        FkitError: a step cannot be built.

    Example:
        >>> from fkit.catalog.builtin import registry
        >>> from fkit.config.config import Config
        >>> from fkit.recipe.settings import read
        >>> pipeline = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}, {"type": "PackInputs"}]
        >>> cfg = Config({"test_dataloader": {"dataset": {"type": "Mine", "pipeline": pipeline}}})
        >>> pictures = open_pictures(read(cfg), registry(), ["a.png"])
        >>> [step.name for step in pictures.steps], pictures.skipped
        (['LoadImageFromFile', 'PackInputs'], ('test_dataloader.dataset.pipeline[1] (LoadAnnotations)',))
    """
    expect(settings, Settings, "`settings` are a run's (fkit.recipe.settings.read(cfg) gives them)")
    expect(paths, (list, tuple), "`paths` are those of images, in a list")
    datasets = datasets_of(settings, ("test", "val"))
    dataset = next((part for part in datasets if part.node.get("pipeline") is not None), None)
    if dataset is None:
        raise FkitKeyError(
            "images need test_dataloader.dataset.pipeline, which says how one becomes an input, and the config has none."
        )
    if pipeline is None:
        path, pipeline = f"{dataset.path}.pipeline", cast("Sequence[Any]", dataset.node["pipeline"])
    else:
        path, pipeline = "test_pipeline", frozen({"pipeline": pipeline})["pipeline"]
    check(pipeline, listed(PART, "a list of mappings with 'type'"), parse(path), settings.tree)
    steps: list[Step] = []
    skipped: list[str] = []
    for place, node in enumerate(pipeline):
        at, name = f"{path}[{place}]", name_of(node["type"])
        if name in _TARGETS:
            skipped.append(f"{at} ({name})")
        else:
            transform = as_transform(build_part(Part(at, node), settings, registry, "transforms"))
            if isinstance(transform, GetBBoxCenterScale):
                steps.append(Step(at, origin_of(node), "WholeBox", WholeBox()))
                known = _of_points(known or ({},) * len(paths), skeleton_of(settings, registry))
            steps.append(Step(at, origin_of(node), name, transform))
    loader = settings.loaders[dataset.path.partition("_")[0]]
    join: Any = loader.node.get("collate_fn")
    if isinstance(join, Mapping):
        join = build_part(Part(f"{loader.path}.collate_fn", join), settings, registry, "functions")
    join = joined_by(join, settings, registry, train=False)
    files = tuple("" if is_array(one) else cast("str", one) for one in paths)
    arrays = frozendict({place: np.asarray(one) for place, one in enumerate(paths) if is_array(one)})
    join = collate if join is None else join
    return Pictures(files, path, tuple(steps), tuple(skipped), settings, join, arrays, tuple(known))


def _of_points(known: Sequence[Mapping[str, Any]], said: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """What is known of images, and each keypoint's partner in a mirror."""
    partners = {name: value for name, value in said.items() if name == "flip_indices"}
    return tuple(frozendict({**partners, **one}) for one in known)


def example_of(settings: Settings, registry: Registry) -> Any:
    """Inputs by which a backend learns a model's shapes: of the config's data; where their files are not there, of a blank
    picture that passes the test pipeline.

    Raises:
        FkitError: neither can be had.
    """
    expect(settings, Settings, "`settings` are a run's (fkit.recipe.settings.read(cfg) gives them)")
    try:
        return data_example(settings, registry)
    except FkitFileNotFoundError:
        pictures = open_pictures(settings, registry, [np.zeros((_SIDE, _SIDE, 3), np.uint8)])
        return pictures.batch([pictures[0]]).inputs


def _at_hand(step: Step) -> Step:
    """A step that reads a file, as one that takes an image that is at hand."""
    if not isinstance(step.transform, LoadImageFromFile):
        return step
    return step._replace(transform=LoadImageFromNDArray(to_float32=step.transform.to_float32))


def _unfit(path: str) -> str:
    """Why a file cannot hold a picture; "" where that is for its reader to see."""
    if is_url(path):
        return ""
    if not os.path.exists(path):
        return "is a link that leads nowhere" if os.path.islink(path) else "is not there"
    if os.path.isdir(path):
        return "is a folder"
    if not os.path.isfile(path):
        return "is no file, but a pipe or a device"
    return "is empty: it has 0 bytes" if os.path.getsize(path) == 0 else ""


def _lacking(cause: Exception, sample: Sample) -> str | None:
    """The key of a sample that a step asked for in vain."""
    word: Any = None
    while isinstance(cause, FkitError) and isinstance(cause.__cause__, Exception):
        cause = cause.__cause__  # of a pipeline in the pipeline
    if isinstance(cause, FkitKeyError):
        word = cause.value
    elif type(cause) is KeyError and len(cause.args) == 1:
        word = cause.args[0]
    return word if isinstance(word, str) and word not in sample else None


def _without(step: Step, lacks: str, sample: Sample, cause: Exception) -> FkitKeyError:
    if lacks == "img":
        repair = "Put dict(type='LoadImageFromFile') before it: it reads the file."
    else:
        repair = (
            f"Where {lacks!r} is a target, let the step pass samples without it (`if {lacks!r} in sample`), or give infer a "
            f"pipeline without the step: --cfg-options '{step.path.rpartition('[')[0]}=[...]'."
        )
    what = f"{step.path}: {step.name} reads {lacks!r}, which a sample of an image that stands alone has not"
    return FkitKeyError(
        blamed(f"{what}; it has {', '.join(sample)}.", cause),
        path=step.path,
        origin=step.origin,
        repair=repair,
    )


def _said(step: Step, path: str, cause: Exception) -> FkitError:
    """The error of one image, with the step that it failed in; a file that cannot be read says all by itself."""
    if isinstance(cause, FkitError) and isinstance(cause, OSError):
        return type(cause)(cause.what)
    text = str(cause) if isinstance(cause, FkitError) else f"{type(cause).__name__}: {cause}"
    return like(cause)(blamed(f"{path}: {step.path} ({step.name}): {text}", cause))


def _form(sample: Any) -> Any:
    """The shapes of a sample's inputs."""
    fields: Any = sample if isinstance(sample, Mapping) else {}
    inputs: Any = fields.get("inputs")
    if inputs is None and isinstance(fields.get("views"), (list, tuple)):
        return tuple(map(_form, fields["views"]))
    if isinstance(inputs, Mapping):
        return tuple((name, getattr(value, "shape", None)) for name, value in cast("Mapping[str, Any]", inputs).items())
    return getattr(inputs, "shape", None)
