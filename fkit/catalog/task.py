"""Rows of the built-in registry: priors, coders, assigners, samplers, losses and what else detectors are configured with."""

from typing import Any, Final

__all__ = ["TASK"]

_OVERLAP: Final[tuple[Any, ...]] = ()

_TASK: Final[tuple[Any, ...]] = tuple(
    ("task_utils", name, f"fkit.detection.{file}:{name.replace('_', '')}", None, None)
    for file, names in (
        ("anchor", ("LegacySSDAnchorGenerator", "SSDAnchorGenerator", "YOLOAnchorGenerator")),
        ("assigner", ("MaxIoUAssigner",)),
        (
            "coder",
            (
                "DeltaXYWHBBoxCoder",
                "DistancePointBBoxCoder",
                "LegacyDeltaXYWHBBoxCoder",
                "PseudoBBoxCoder",
                "TBLRBBoxCoder",
                "YOLOBBoxCoder",
            ),
        ),
        ("overlap", ("BboxOverlaps2D", "BboxOverlaps2D_GLIP")),
        ("prior", ("AnchorGenerator", "LegacyAnchorGenerator", "MlvlPointGenerator")),
        ("sampler", ("PseudoSampler", "RandomSampler")),
    )
    for name in names
)

_LOSS: Final[tuple[Any, ...]] = ()

_REGION: Final[tuple[Any, ...]] = (
    ("models", "GenericRoIExtractor", "fkit.detection.extractor:GenericRoIExtractor", None, None),
    ("models", "SingleRoIExtractor", "fkit.detection.extractor:SingleRoIExtractor", None, None),
)

TASK = (*_OVERLAP, *_TASK, *_LOSS, *_REGION)
