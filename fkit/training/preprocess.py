"""Data preprocessors: what a model's step does to a batch first, on the device; written once for all backends.

The host pads and stacks (`fkit.data.collate.Collate`, which `collate` gives); the device swaps channels, normalises, fills
the border that was padded, and mixes samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.data.collate import Collate, pair_of
from fkit.structures.batch import Samples, first_array
from fkit.structures.content import namespace
from fkit.training.image import check_images, check_whole, padded, ready
from fkit.training.mix import Augments, Pads, augments_of, mixed, pads_of
from fkit.training.resize import BatchSyncRandomResize
from fkit.tree.check import check_fields, expect
from fkit.tree.contract import title
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "BaseDataPreprocessor",
    "ClsDataPreprocessor",
    "DetDataPreprocessor",
    "ImgDataPreprocessor",
    "PoseDataPreprocessor",
    "Preprocess",
    "SegDataPreProcessor",
    "SelfSupDataPreprocessor",
    "check_preprocess",
]


class Preprocess(Protocol):
    """What stands between a batch and a model."""

    @property
    def random(self) -> bool:
        """Whether it draws in training."""
        ...

    @property
    def resize(self) -> BatchSyncRandomResize | None:
        """What gives training batches other sizes; None where they keep theirs."""
        ...

    def collate(self, train: bool) -> Collate:
        """How the host makes batches for it."""
        ...

    def __call__(
        self, xp: Ops, inputs: Any, samples: Samples, words: Any = None, train: bool = False
    ) -> tuple[Any, Samples]:
        """A batch as the model takes it, but for its size.

        Args:
            xp: the operations of the arrays' library.
            inputs: (N, C, H, W) of a float type, or a mapping of such.
            samples: their targets; ``input_shape`` (N, 2) is the height and width of each image that was padded.
            words: the key of its draws, two words of ``xp``; None outside of training.
        """
        ...


def check_preprocess(part: Any, what: str) -> None:
    """Refuse what is no data preprocessor.

    Raises:
        FkitTypeError: with what one has.

    Example:
        >>> check_preprocess(BaseDataPreprocessor(), "data_preprocessor")
    """
    if isinstance(part, type) or not callable(part) or not hasattr(part, "collate"):
        raise FkitTypeError(
            f"{what} is {title(part)}, which is no data preprocessor.",
            repair="Derive it from fkit.training.preprocess.ImgDataPreprocessor, and write __call__(self, xp, inputs, samples, words, train).",
        )


@dataclass(frozen=True)
class BaseDataPreprocessor:
    """Nothing but a place: mmengine's moves a batch to the device, which every batch is here.

    Args:
        non_blocking: accepted; copies wait for nothing where that can be.

    Example:
        >>> BaseDataPreprocessor().collate(train=True).pad
        False
    """

    non_blocking: bool | None = False

    random, resize = False, None

    def __post_init__(self) -> None:
        check_fields(self)

    def collate(self, train: bool) -> Collate:
        """Images that agree in size."""
        return Collate()

    def __call__(
        self, xp: Ops, inputs: Any, samples: Samples, words: Any = None, train: bool = False
    ) -> tuple[Any, Samples]:
        return inputs, samples


@dataclass(frozen=True)
class ImgDataPreprocessor:
    """Channels swapped, ``(x - mean) / std``, and padding; mmengine's ImgDataPreprocessor.

    Args:
        mean, std: numbers in the order of the channels after the swap, one for each or one for all; None: neither.
        pad_size_divisor: the padded height and width are multiples of it.
        pad_value: of the border, after normalisation.
        bgr_to_rgb, rgb_to_bgr: swap the channels of images that have three; either does.
        non_blocking: accepted; copies wait for nothing where that can be.

    Raises:
        FkitValueError: one of mean and std alone, a std of 0, both swaps.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> pre = ImgDataPreprocessor(mean=[1, 2, 3], std=[1, 2, 4], bgr_to_rgb=True)
        >>> image = np.float32([9, 4, 2]).reshape(1, 3, 1, 1)
        >>> pre(Numpy(), image, Samples())[0].ravel().tolist()
        [1.0, 1.0, 1.5]
    """

    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    pad_size_divisor: int = 1
    pad_value: float = 0
    bgr_to_rgb: bool = False
    rgb_to_bgr: bool = False
    non_blocking: bool | None = False

    random, resize = False, None

    def __post_init__(self) -> None:
        check_images(self, self.pad_size_divisor)
        if self.bgr_to_rgb and self.rgb_to_bgr:
            raise FkitValueError(f"{type(self).__name__}: bgr_to_rgb and rgb_to_bgr exclude each other.")

    @property
    def swap(self) -> bool:
        """Whether channels are swapped."""
        return self.bgr_to_rgb or self.rgb_to_bgr

    def collate(self, train: bool) -> Collate:
        """Padded to the batch's greatest size, and the divisor."""
        return Collate(pad=True, size_divisor=self.pad_size_divisor)

    def __call__(
        self, xp: Ops, inputs: Any, samples: Samples, words: Any = None, train: bool = False
    ) -> tuple[Any, Samples]:
        return ready(self, xp, inputs, samples, self.pad_size_divisor, self.pad_value), samples


@dataclass(frozen=True)
class SelfSupDataPreprocessor(ImgDataPreprocessor):
    """Of several views of an image, a mapping or a sequence of inputs; mmpretrain's SelfSupDataPreprocessor.

    Args:
        to_rgb: swap channels too.

    Example:
        >>> SelfSupDataPreprocessor(to_rgb=True).swap
        True
    """

    to_rgb: bool = False

    @property
    def swap(self) -> bool:
        """Whether channels are swapped."""
        return self.to_rgb or self.bgr_to_rgb or self.rgb_to_bgr


@dataclass(frozen=True)
class ClsDataPreprocessor:
    """For classification; mmpretrain's ClsDataPreprocessor.

    Args:
        mean, std, pad_size_divisor, pad_value: as of `ImgDataPreprocessor`.
        to_rgb: swap the channels of images that have three.
        to_onehot: ``targets["gt_score"]`` (N, K) is made of ``gt_label``.
        num_classes: K.
        batch_augments: ``{"augments": [...], "probs": [...]}``, of which one is drawn for each training batch, from the
            run's key; nothing happens with the probability that is left. They make ``gt_score``.

    Example:
        >>> ClsDataPreprocessor(num_classes=10, batch_augments={"augments": {"type": "Mixup", "alpha": 0.2}}).random
        True
    """

    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    pad_size_divisor: int = 1
    pad_value: float = 0
    to_rgb: bool = False
    to_onehot: bool = False
    num_classes: int | None = None
    batch_augments: Mapping[str, Any] | Augments | None = None

    def __post_init__(self) -> None:
        check_images(self, self.pad_size_divisor)
        augments = augments_of(self.batch_augments, "ClsDataPreprocessor: batch_augments")
        object.__setattr__(self, "batch_augments", augments)
        if augments is not None:
            object.__setattr__(self, "to_onehot", True)

    @property
    def swap(self) -> bool:
        """Whether channels are swapped."""
        return self.to_rgb

    resize = None

    @property
    def random(self) -> bool:
        return self.batch_augments is not None

    def collate(self, train: bool) -> Collate:
        """Padded to the batch's greatest size, and the divisor."""
        return Collate(pad=True, size_divisor=self.pad_size_divisor)

    def __call__(
        self, xp: Ops, inputs: Any, samples: Samples, words: Any = None, train: bool = False
    ) -> tuple[Any, Samples]:
        inputs = ready(self, xp, inputs, samples, self.pad_size_divisor, self.pad_value)
        if not self.to_onehot or not {"gt_label", "gt_score"} & samples.targets.keys():
            return inputs, samples
        scores = samples.targets["gt_score"] if "gt_score" in samples.targets else self._onehot(xp, inputs, samples)
        if train and words is not None and isinstance(self.batch_augments, Augments):
            if isinstance(inputs, (Mapping, tuple)):
                raise FkitValueError(
                    "ClsDataPreprocessor: batch_augments mix images (N, C, H, W), and this batch has several inputs a sample.",
                    path="data_preprocessor.batch_augments",
                )
            inputs, scores = mixed(xp, self.batch_augments, inputs, scores, words)
        return inputs, samples._replace(targets=frozendict({**samples.targets, "gt_score": scores}))

    def _onehot(self, xp: Ops, inputs: Any, samples: Samples) -> Any:
        if self.num_classes is None:
            raise FkitValueError(
                "ClsDataPreprocessor: one-hot labels, which batch_augments mix, need num_classes.",
                path="data_preprocessor.num_classes",
            )
        labels, first = samples.targets["gt_label"], first_array(inputs)
        return (labels[:, None] == xp.words(0, (self.num_classes,))) * namespace(first).ones_like(first[:1, 0, 0, :1])


@dataclass(frozen=True)
class PoseDataPreprocessor(ImgDataPreprocessor):
    """For poses; mmpose's PoseDataPreprocessor.

    Args:
        batch_augments: of ``{"type": "BatchFixedSizePad", "size": (h, w)}``, the size that training images are padded to,
            and `fkit.training.resize.BatchSyncRandomResize`.

    Example:
        >>> PoseDataPreprocessor(bgr_to_rgb=True).swap
        True
    """

    batch_augments: Sequence[Mapping[str, Any]] | Pads | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "batch_augments", pads_of(self.batch_augments, self.pad_value, type(self).__name__))

    def collate(self, train: bool) -> Collate:
        """Padded to the batch's greatest size and the divisor; in training to the fixed size."""
        join = super().collate(train)
        return replace(join, size=self.batch_augments.size) if train and isinstance(self.batch_augments, Pads) else join

    @property
    def resize(self) -> BatchSyncRandomResize | None:
        return self.batch_augments.resize if isinstance(self.batch_augments, Pads) else None


@dataclass(frozen=True)
class DetDataPreprocessor(PoseDataPreprocessor):
    """For detection; mmdet's DetDataPreprocessor.

    Args:
        pad_mask: masks are padded as their images are in any case, for a batch is arrays; where neither this nor
            ``BatchFixedSizePad`` says so, as `fkit.data.collate.Collate` does without a ``mask_pad_value``.
        pad_seg, mask_pad_value, seg_pad_value: maps are padded always; with what.
        boxtype2tensor: accepted: boxes are arrays.
        batch_augments: as of `PoseDataPreprocessor`.

    Example:
        >>> DetDataPreprocessor(pad_size_divisor=32).collate(train=True).size_divisor
        32
    """

    pad_mask: bool = False
    mask_pad_value: float = 0
    pad_seg: bool = False
    seg_pad_value: float = 255
    boxtype2tensor: bool = True

    def collate(self, train: bool) -> Collate:
        """Padded to the batch's greatest size and the divisor; in training to the fixed size."""
        pads = self.pad_mask or not train or getattr(self.batch_augments, "pad_mask", False)
        value = self.mask_pad_value if pads else None
        return replace(super().collate(train), seg_pad_value=self.seg_pad_value, mask_pad_value=value)

    def __call__(
        self, xp: Ops, inputs: Any, samples: Samples, words: Any = None, train: bool = False
    ) -> tuple[Any, Samples]:
        inputs, samples = super().__call__(xp, inputs, samples, words, train)
        return inputs, padded(samples, self.pad_size_divisor)


@dataclass(frozen=True)
class SegDataPreProcessor:
    """For semantic segmentation; mmseg's SegDataPreProcessor.

    Args:
        mean, std, bgr_to_rgb, rgb_to_bgr: as of `ImgDataPreprocessor`.
        size, size_divisor: what training images are padded to, one of them: (height, width), or multiples.
        pad_val: of the border, after normalisation.
        seg_pad_val: of maps.
        batch_augments: None; mmseg knows none.
        test_cfg: ``{"size": (h, w)}`` or ``{"size_divisor": 32}``, what images of a test are padded to; None: they are
            not, and those of a batch agree in size.

    Example:
        >>> SegDataPreProcessor(size=(512, 1024)).collate(train=True).size, SegDataPreProcessor().collate(train=False).pad
        ((512, 1024), False)
    """

    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    size: Sequence[int] | None = None
    size_divisor: int | None = None
    pad_val: float = 0
    seg_pad_val: float = 255
    bgr_to_rgb: bool = False
    rgb_to_bgr: bool = False
    batch_augments: Sequence[Any] | None = None
    test_cfg: Mapping[str, Any] | None = None

    random, resize = False, None

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_images(self, self.size_divisor)
        if self.bgr_to_rgb and self.rgb_to_bgr:
            raise FkitValueError(f"{name}: bgr_to_rgb and rgb_to_bgr exclude each other.")
        if self.size is not None and self.size_divisor is not None:
            raise FkitValueError(f"{name}: size and size_divisor exclude each other.")
        if self.batch_augments:
            raise FkitValueError(
                f"{name}: batch_augments = {quoted(self.batch_augments)} is not known: mmseg has none."
            )
        if self.size is not None:
            object.__setattr__(self, "size", pair_of(self.size, f"{name}: size"))
        expect({} if self.test_cfg is None else self.test_cfg, Mapping, f"{name}: test_cfg is a mapping")
        tests: dict[str, Any] = dict(self.test_cfg or {})
        for key in tests:
            if key not in ("size", "size_divisor"):
                raise FkitValueError(
                    f"{name}: test_cfg.{key} is unknown.", value=str(key), choices=("size", "size_divisor")
                )
        if tests.get("size") is not None:
            tests["size"] = pair_of(tests["size"], f"{name}: test_cfg.size")
        if tests.get("size_divisor") is not None:
            check_whole(tests["size_divisor"], f"{name}: test_cfg.size_divisor")
        object.__setattr__(self, "test_cfg", frozendict(tests) if tests else None)

    @property
    def swap(self) -> bool:
        """Whether channels are swapped."""
        return self.bgr_to_rgb or self.rgb_to_bgr

    def collate(self, train: bool) -> Collate:
        """Padded in training, and in a test as ``test_cfg`` says."""
        if train:
            return self._padding(self.size, self.size_divisor)
        if self.test_cfg is None:
            return Collate(seg_pad_value=self.seg_pad_val)
        return self._padding(self.test_cfg.get("size"), self.test_cfg.get("size_divisor"))

    def _padding(self, size: Any, divisor: Any) -> Collate:
        return Collate(pad=True, size=size, size_divisor=divisor or 1, seg_pad_value=self.seg_pad_val)

    def __call__(
        self, xp: Ops, inputs: Any, samples: Samples, words: Any = None, train: bool = False
    ) -> tuple[Any, Samples]:
        return ready(self, xp, inputs, samples, 1, self.pad_val), samples
