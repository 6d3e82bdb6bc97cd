"""What heads make of their networks' outputs: losses, one prediction of two passes, keypoints; on any library of arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any, ClassVar, Self

from fkit.array.ops import Ops
from fkit.array.peak import line_maximum, map_maximum
from fkit.catalog.build import Builder
from fkit.pose.accuracy import near_share
from fkit.pose.flip import flip_coordinates, flip_lines, flip_maps
from fkit.pose.loss.base import called
from fkit.pose.part import part
from fkit.pose.truth import expect_target, field_of, label_of, levels_of
from fkit.structures.batch import Samples
from fkit.tree.error import FkitTypeError

__all__ = ["Coordinates", "Deviations", "Head", "Heatmaps", "Lines", "Stages"]

Config = Mapping[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Head:
    """What heads share.

    Attributes:
        name: of the head, for messages.
        loss_module: of what is predicted, its target and weights.
        decoder: a codec, which makes keypoints of what is predicted; None: there are no predictions.
    """

    name: str
    loss_module: Any
    decoder: Any = None

    decodes: ClassVar[tuple[str, ...]] = ()  # what a codec calls what it predicts; any where that is not said

    @classmethod
    def of(cls, build: Builder, name: str, loss: Any, decoder: Any, **more: Any) -> Self:
        """The logic of a head's configs."""
        codec = part(build, "codecs", decoder)
        made: tuple[str, ...] = getattr(codec, "decoded_from", ())
        if made and cls.decodes and made != cls.decodes:
            raise FkitTypeError(
                f"{name}: its decoder {type(codec).__name__} makes keypoints of {', '.join(made)}, and the head predicts "
                f"{', '.join(cls.decodes)}.",
                repair="Give the codec of the head's targets: a head of heatmaps decodes MSRAHeatmap or UDPHeatmap, one of lines "
                "SimCCLabel, one of coordinates RegressionLabel.",
            )
        return cls(name=name, loss_module=part(build, "models", loss), decoder=codec, **more)

    def loss(self, xp: Ops, outputs: Any, samples: Samples | None, cfg: Config) -> dict[str, Any]:
        """Losses, and ``acc_pose``, by name."""
        raise NotImplementedError

    def readied(self, xp: Ops, outputs: Any) -> Any:
        """The network's outputs as predictions are made of them."""
        return outputs

    def joined(self, xp: Ops, outputs: Any, flipped: Any, partners: Any, cfg: Config) -> Any:
        """One prediction of a picture's and its mirror image's."""
        raise NotImplementedError

    def encoded(self, xp: Ops, outputs: Any) -> tuple[Any, ...]:
        """What the decoder takes."""
        return (outputs,)

    def prediction(self, xp: Ops, outputs: Any, cfg: Config) -> dict[str, Any]:
        """``keypoints`` (N, 1, K, D) in pixels of the inputs and ``keypoint_scores`` (N, 1, K).

        Raises:
            FkitTypeError: there is no decoder.
        """
        if self.decoder is None:
            raise FkitTypeError(
                f"{self.name} has no decoder, and predicts nothing without.",
                repair="decoder=dict(type='MSRAHeatmap', ...): the codec of the targets.",
            )
        points, scores = self.decoder.decoded(xp, *self.encoded(xp, outputs))
        return {"keypoints": points, "keypoint_scores": scores}

    def fields(self, xp: Ops, outputs: Any) -> dict[str, Any]:
        """Maps that ``output_heatmaps`` shows beside keypoints."""
        return {}

    def shown(self, xp: Ops, outputs: Any, cfg: Config) -> tuple[dict[str, Any], dict[str, Any]]:
        """The prediction, and the maps that ``cfg`` asks for."""
        return self.prediction(xp, outputs, cfg), self.fields(xp, outputs) if cfg.get("output_heatmaps") else {}


@dataclass(frozen=True, eq=False, kw_only=True)
class Heatmaps(Head):
    """Of maps (N, C, H, W)."""

    decodes: ClassVar[tuple[str, ...]] = ("heatmaps",)

    def loss(self, xp: Ops, outputs: Any, samples: Samples | None, cfg: Config) -> dict[str, Any]:
        target = xp.cast(field_of(samples, "heatmaps", self.name), outputs)
        expect_target(self.name, outputs, target)
        weights = label_of(samples, "keypoint_weights", self.name)
        losses = {"loss_kpt": called(self.loss_module, xp, outputs, target, weights)}
        if cfg.get("compute_acc", True):
            losses["acc_pose"] = map_accuracy(xp, outputs, target, weights)
        return losses

    def joined(self, xp: Ops, outputs: Any, flipped: Any, partners: Any, cfg: Config) -> Any:
        mode = cfg.get("flip_mode", "heatmap")
        return (outputs + flip_maps(xp, flipped, partners, mode, cfg.get("shift_heatmap", False))) * 0.5

    def fields(self, xp: Ops, outputs: Any) -> dict[str, Any]:
        return {"heatmaps": outputs}


@dataclass(frozen=True, eq=False, kw_only=True)
class Stages(Heatmaps):
    """Of maps (N, C, H, W) of several stages, of which the last predicts.

    Attributes:
        levels: of each stage the level of targets that it learns, ``heatmaps`` (N, L, C, H, W); None: all learn the same.
    """

    levels: tuple[int, ...] | None = None

    def loss(self, xp: Ops, outputs: Any, samples: Samples | None, cfg: Config) -> dict[str, Any]:
        whole = xp.cast(field_of(samples, "heatmaps", self.name), outputs[0])
        if self.levels is None:
            weights = label_of(samples, "keypoint_weights", self.name)
            pairs = [(whole, weights)] * len(outputs)
        else:
            weights = levels_of(samples, "keypoint_weights", whole.shape[1], self.name)
            pairs = [(whole[:, level], weights[:, level]) for level in self.levels]
            weights = weights[:, -1]
        several = isinstance(self.loss_module, tuple)
        for maps, (target, _) in zip(outputs, pairs, strict=True):
            expect_target(self.name, maps, target)
        losses = [
            called(self.loss_module[i] if several else self.loss_module, xp, maps, target, weight)
            for i, (maps, (target, weight)) in enumerate(zip(outputs, pairs, strict=True))
        ]
        accuracy = map_accuracy(xp, outputs[-1], pairs[-1][0], weights)
        return {"loss_kpt": sum(losses[1:], losses[0]), "acc_pose": accuracy}

    def readied(self, xp: Ops, outputs: Any) -> Any:
        return outputs[-1]


def map_accuracy(xp: Ops, outputs: Any, target: Any, weights: Any) -> Any:
    """The share of keypoints whose maps' peaks are near; 0-d."""
    mine, theirs = (map_maximum(xp, xp.detached(maps))[0] for maps in (outputs, target))
    height, width = outputs.shape[-2:]
    return near_share(xp, mine, theirs, weights > 0, (height, width))


@dataclass(frozen=True, eq=False, kw_only=True)
class Lines(Head):
    """Of lines across and down, (N, K, W) each.

    Attributes:
        ratio: bins to a pixel of the inputs.
        scaled: maps are shown of lines as a Gaussian's density has them, over ``sigma * sqrt(2 * pi)`` of the decoder.
    """

    ratio: float = 2.0
    scaled: bool = False

    decodes: ClassVar[tuple[str, ...]] = ("keypoint_x_labels", "keypoint_y_labels")

    def loss(self, xp: Ops, outputs: Any, samples: Samples | None, cfg: Config) -> dict[str, Any]:
        target = tuple(
            xp.cast(label_of(samples, f"keypoint_{axis}_labels", self.name), outputs[0]) for axis in ("x", "y")
        )
        for line, truth in zip(outputs, target, strict=True):
            expect_target(self.name, line, truth)
        weights = label_of(samples, "keypoint_weights", self.name)
        loss = called(self.loss_module, xp, outputs, target, weights)
        sizes = tuple(int(line.shape[-1] / self.ratio) for line in reversed(outputs))
        mine, theirs = (
            line_maximum(xp, *(xp.detached(line) for line in lines))[0] / self.ratio for lines in (outputs, target)
        )
        return {"loss_kpt": loss, "acc_pose": near_share(xp, mine, theirs, weights > 0, (sizes[0], sizes[1]))}

    def joined(self, xp: Ops, outputs: Any, flipped: Any, partners: Any, cfg: Config) -> Any:
        pairs = zip(outputs, flip_lines(xp, flipped, partners), strict=True)
        return tuple((mine + theirs) * 0.5 for mine, theirs in pairs)

    def encoded(self, xp: Ops, outputs: Any) -> tuple[Any, ...]:
        return tuple(outputs)

    def prediction(self, xp: Ops, outputs: Any, cfg: Config) -> dict[str, Any]:
        found = super().prediction(xp, outputs, cfg)
        if getattr(self.decoder, "decode_visibility", False):
            found["keypoints_visible"] = self.decoder.visibility(xp, *outputs)
        return found

    def shown(self, xp: Ops, outputs: Any, cfg: Config) -> tuple[dict[str, Any], dict[str, Any]]:
        found = self.prediction(xp, outputs, cfg)
        if not cfg.get("output_heatmaps"):
            return found, {}
        scales = [sigma * sqrt(2 * pi) for sigma in self.decoder.sigma] if self.scaled else (1.0, 1.0)
        across, down = (self._normalised(xp, line / scale) for line, scale in zip(outputs, scales, strict=True))
        lines = {"keypoint_x_labels": across[:, None], "keypoint_y_labels": down[:, None]}
        return {**found, **lines}, {"heatmaps": down[..., :, None] * across[..., None, :]}

    def _normalised(self, xp: Ops, line: Any) -> Any:
        """Lines without what is below 0, their highest value 1 at most."""
        line = xp.lib.clip(line, 0.0, None)
        top = xp.lib.amax(line, axis=-1)[..., None]
        return line / xp.lib.where(top > 1, top, 1.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Coordinates(Head):
    """Of coordinates (N, K, D) in parts of the inputs' sides."""

    decodes: ClassVar[tuple[str, ...]] = ("keypoint_labels",)

    def loss(self, xp: Ops, outputs: Any, samples: Samples | None, cfg: Config) -> dict[str, Any]:
        target = xp.cast(label_of(samples, "keypoint_labels", self.name), outputs)
        weights = label_of(samples, "keypoint_weights", self.name)
        loss = called(self.loss_module, xp, outputs, target, xp.cast(weights, outputs)[..., None])
        share = point_accuracy(xp, outputs, target, weights)
        return {"loss_kpt": loss, "acc_pose": share}

    def joined(self, xp: Ops, outputs: Any, flipped: Any, partners: Any, cfg: Config) -> Any:
        shift = cfg.get("shift_coords", True)
        width = self.decoder.input_size[0] if shift else 1
        return (outputs + flip_coordinates(xp, flipped, partners, shift, width)) * 0.5


def point_accuracy(xp: Ops, outputs: Any, target: Any, weights: Any) -> Any:
    """The share of keypoints whose coordinates are near; 0-d."""
    return near_share(xp, xp.detached(outputs)[..., :2], target[..., :2], weights > 0, (1, 1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Deviations(Coordinates):
    """Of coordinates and their deviations before a sigmoid, (N, K, 2 * D)."""

    def loss(self, xp: Ops, outputs: Any, samples: Samples | None, cfg: Config) -> dict[str, Any]:
        target = xp.cast(label_of(samples, "keypoint_labels", self.name), outputs)
        weights = label_of(samples, "keypoint_weights", self.name)
        points, sigma = outputs[..., :2], outputs[..., 2:4]
        loss = called(self.loss_module, xp, points, sigma, target, xp.cast(weights, outputs)[..., None])
        return {"loss_kpt": loss, "acc_pose": point_accuracy(xp, outputs, target, weights)}

    def readied(self, xp: Ops, outputs: Any) -> Any:
        return xp.lib.concat([outputs[..., :2], xp.sigmoid(outputs[..., 2:])], axis=2)
