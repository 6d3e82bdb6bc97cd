"""What a pose model learns, made of keypoints by a codec."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

import numpy as np

from fkit.catalog.entry import Built
from fkit.data.codec.codec import Codec, Floats
from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Holder, Sample, replaced
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["GenerateTarget"]

_TABLES = (
    ("fields", "field_mapping_table"),
    ("instances", "instance_mapping_table"),
    ("labels", "label_mapping_table"),
)


@dataclass(frozen=True)
class GenerateTarget(Holder):
    """Keypoints encoded; mmpose's GenerateTarget.

    Args:
        encoder: a codec, or several.
        target_type: of no effect: the codec decides.
        multilevel: several codecs of one kind give a list for each key; otherwise each gives keys of its own.
        use_dataset_keypoint_weights: multiply ``keypoint_weights`` by the dataset's ``dataset_keypoint_weights``.

    Takes ``transformed_keypoints``, else ``keypoints`` (N, K, D), and ``keypoints_visible`` (N, K), or (N, K, 2) with weights.
    Params: what each codec drew. Sets what the codec gives, and which of it is packed as what (``field_mapping_table``,
    ``label_mapping_table``, ``instance_mapping_table``).

    Example:
        >>> from fkit.data.codec.regression import RegressionLabel
        >>> sample = {"keypoints": np.array([[[1.0, 1.0]]]), "keypoints_visible": np.ones((1, 1))}
        >>> GenerateTarget(RegressionLabel(input_size=(4, 2)))(sample)["keypoint_labels"].tolist()
        [[[0.25, 0.5]]]
    """

    encoder: Annotated[Any, Built("codecs")]
    target_type: str | None = None
    multilevel: bool = False
    use_dataset_keypoint_weights: bool = False
    codecs: tuple[Codec, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        several = isinstance(self.encoder, (list, tuple))
        codecs = tuple(cast("Sequence[Any]", self.encoder)) if several else (self.encoder,)
        for codec in codecs:
            if not isinstance(codec, Codec):
                raise FkitTypeError(
                    f"GenerateTarget: encoder is a codec, or a list of them, not {quoted(codec)}.",
                    repair='In a config: encoder=dict(type="MSRAHeatmap", input_size=(192, 256), ...).',
                )
        for word in ("multilevel", "use_dataset_keypoint_weights"):
            expect(getattr(self, word), bool, f"GenerateTarget: {word} is True or False")
        if not codecs or (self.multilevel and not several):
            raise FkitValueError("GenerateTarget: encoder is a list of codecs where multilevel is True.")
        object.__setattr__(self, "encoder", codecs if several else codecs[0])
        object.__setattr__(self, "codecs", codecs)

    @property
    def random(self) -> bool:
        return any(codec.draws for codec in self.codecs)

    @property
    def of_others(self) -> bool:
        return any(type(codec).__module__.partition(".")[0] != "fkit" for codec in self.codecs)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[Any, ...]:
        points = _points(sample)
        return tuple(codec.draw(points, needed(rng, self)) if codec.draws else None for codec in self.codecs)

    def apply(self, sample: Sample, params: Sequence[Any]) -> Sample:
        points = _points(sample)
        self._expect_fits(points, sample)
        changes: dict[str, Any] = {}
        visible: Any = sample["keypoints_visible"]
        if np.ndim(visible) == 3 and visible.shape[2] == 2:
            visible, changes["keypoints_visible_weights"] = visible[..., 0], visible[..., 1]
            changes["keypoints_visible"] = visible
        encoded: list[Mapping[str, Any]] = []
        for codec, drawn in zip(self.codecs, params, strict=True):
            needs = {name: sample.get(name) for name in codec.needs}
            encoded.append(codec.encode(points, visible, **needs, **({"params": drawn} if codec.draws else {})))
        whole = self._joined(encoded)
        if self.use_dataset_keypoint_weights and "keypoint_weights" in whole:
            whole["keypoint_weights"] = _weighted(whole["keypoint_weights"], sample)
        for attribute, key in _TABLES:
            table = {name: word for codec in self.codecs for name, word in getattr(codec, attribute).items()}
            if table:
                whole[key] = frozen(table)
        return replaced(sample, **changes, **whole)

    def _expect_fits(self, points: Floats, sample: Sample) -> None:
        """Refuse keypoints that are no numbers, and codecs that were made for inputs of another size."""
        if not np.isfinite(points).all():
            raise FkitValueError(
                "GenerateTarget: keypoints are finite numbers, and some are not.",
                repair="Let a keypoint that is not there be (0, 0), with keypoints_visible 0.",
            )
        size: Any = sample.get("input_size")
        if size is None:
            return
        for codec in self.codecs:
            wanted: Any = getattr(codec, "input_size", None)
            if wanted is not None and tuple(wanted[:2]) != tuple(size):
                raise FkitValueError(
                    f"GenerateTarget: {type(codec).__name__} has input_size={tuple(wanted)}, but the input is {tuple(size)} (width, height).",
                    repair="Let input_size of TopdownAffine and of the codec be the same.",
                )

    def _joined(self, encoded: list[Mapping[str, Any]]) -> dict[str, Any]:
        if len(encoded) == 1 and not isinstance(self.encoder, tuple):
            return dict(encoded[0])
        if self.multilevel:
            if any(set(one) != set(encoded[0]) for one in encoded):
                raise FkitValueError("GenerateTarget: with multilevel=True, the codecs give the same keys.")
            return {key: [one[key] for one in encoded] for key in encoded[0]}
        whole: dict[str, Any] = {}
        for one in encoded:
            if twice := (set(one) & set(whole)) - {"keypoint_weights"}:
                raise FkitValueError(
                    f"GenerateTarget: several codecs give {', '.join(sorted(twice))}.",
                    repair="Say multilevel=True where they are levels of one target.",
                )
            whole.update(one)
        weights = [one["keypoint_weights"] for one in encoded if "keypoint_weights" in one]
        return {**whole, "keypoint_weights": weights} if weights else whole


def _points(sample: Sample) -> Floats:
    for key in ("transformed_keypoints", "keypoints"):
        if sample.get(key) is not None:
            return sample[key]
    raise FkitKeyError(
        "the sample has neither 'transformed_keypoints' nor 'keypoints'.", choices=sample, label="It has"
    )


def _weighted(weights: Any, sample: Sample) -> Any:
    each = sample["dataset_keypoint_weights"]
    if isinstance(weights, list):
        return [one * each for one in cast("list[Floats]", weights)]
    return weights * each
