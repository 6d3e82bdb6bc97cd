"""Rows of the built-in registry: priors, coders, assigners, samplers, losses and what else detectors are configured with."""

from typing import Any, Final

__all__ = ["TASK"]

_OVERLAP: Final[tuple[Any, ...]] = ()

_TASK: Final[tuple[Any, ...]] = tuple(
    ("task_utils", name, f"fkit.detection.{file}:{name.replace('_', '')}", None, None)
    for file, names in (
        ("adaptive", ("ATSSAssigner", "DynamicSoftLabelAssigner", "SimOTAAssigner", "TaskAlignedAssigner")),
        ("anchor", ("LegacySSDAnchorGenerator", "SSDAnchorGenerator", "YOLOAnchorGenerator")),
        ("assigner", ("MaxIoUAssigner",)),
        (
            "balanced",
            (
                "CombinedSampler",
                "InstanceBalancedPosSampler",
                "IoUBalancedNegSampler",
                "MaskPseudoSampler",
                "OHEMSampler",
            ),
        ),
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
        (
            "cost",
            ("BBoxL1Cost", "ClassificationCost", "CrossEntropyLossCost", "DiceCost", "FocalLossCost", "IoUCost"),
        ),
        ("hungarian", ("HungarianAssigner",)),
        ("overlap", ("BboxOverlaps2D", "BboxOverlaps2D_GLIP")),
        ("prior", ("AnchorGenerator", "LegacyAnchorGenerator", "MlvlPointGenerator")),
        ("region", ("ApproxMaxIoUAssigner", "CenterRegionAssigner", "GridAssigner", "PointAssigner")),
        ("sampler", ("PseudoSampler", "RandomSampler")),
        ("yolof", ("UniformAssigner",)),
    )
    for name in names
)

_LOSS: Final[tuple[Any, ...]] = (
    ("models", "Accuracy", "fkit.detection.loss.accuracy:Accuracy", None, "mmdet"),
    ("models", "BalancedL1Loss", "fkit.detection.loss.distance:BalancedL1Loss", None, None),
    ("models", "BoundedIoULoss", "fkit.detection.loss.region:BoundedIoULoss", None, None),
    ("models", "CIoULoss", "fkit.detection.loss.region:CIoULoss", None, None),
    ("models", "CrossEntropyCustomLoss", "fkit.detection.loss.custom:CrossEntropyCustomLoss", None, None),
    ("models", "CrossEntropyLoss", "fkit.detection.loss.entropy:CrossEntropyLoss", None, "mmdet"),
    ("models", "DIoULoss", "fkit.detection.loss.region:DIoULoss", None, None),
    ("models", "DiceLoss", "fkit.detection.loss.mask:DiceLoss", None, None),
    ("models", "DistributionFocalLoss", "fkit.detection.loss.quality:DistributionFocalLoss", None, None),
    ("models", "EIoULoss", "fkit.detection.loss.region:EIoULoss", None, None),
    ("models", "FocalCustomLoss", "fkit.detection.loss.custom:FocalCustomLoss", None, None),
    ("models", "FocalLoss", "fkit.detection.loss.entropy:FocalLoss", None, None),
    ("models", "GHMC", "fkit.detection.loss.memory:GHMC", None, None),
    ("models", "GHMR", "fkit.detection.loss.memory:GHMR", None, None),
    ("models", "GIoULoss", "fkit.detection.loss.region:GIoULoss", None, None),
    ("models", "GaussianFocalLoss", "fkit.detection.loss.quality:GaussianFocalLoss", None, None),
    ("models", "IoULoss", "fkit.detection.loss.region:IoULoss", None, None),
    ("models", "KnowledgeDistillationKLDivLoss", "fkit.detection.loss.quality:KnowledgeDistillationKLDivLoss", None, None),
    ("models", "L1Loss", "fkit.detection.loss.distance:L1Loss", None, None),
    ("models", "MSELoss", "fkit.detection.loss.distance:MSELoss", None, None),
    ("models", "QualityFocalLoss", "fkit.detection.loss.quality:QualityFocalLoss", None, None),
    ("models", "SIoULoss", "fkit.detection.loss.region:SIoULoss", None, None),
    ("models", "SeesawLoss", "fkit.detection.loss.memory:SeesawLoss", None, None),
    ("models", "SmoothL1Loss", "fkit.detection.loss.distance:SmoothL1Loss", None, None),
    ("models", "VarifocalLoss", "fkit.detection.loss.quality:VarifocalLoss", None, None),
)  # fmt: skip

_REGION: Final[tuple[Any, ...]] = (
    ("models", "GenericRoIExtractor", "fkit.zoo.torch.extractor:generic_roi_extractor", "torch", None),
    ("models", "GenericRoIExtractor", "fkit.zoo.flax.extractor:generic_roi_extractor", "jax", None),
    ("models", "SingleRoIExtractor", "fkit.detection.extractor:SingleRoIExtractor", None, None),
)

TASK = (*_OVERLAP, *_TASK, *_LOSS, *_REGION)
