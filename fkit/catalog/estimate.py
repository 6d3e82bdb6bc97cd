"""Rows of the built-in registry: pose estimators, their heads, necks and losses."""

from typing import Any, Final

__all__ = ["ESTIMATE"]

# file of both zoos -> (name, flax's maker); torch's is a class of the name
_PARTS: Final[tuple[tuple[str, tuple[tuple[str, str], ...]], ...]] = (
    ("heatmap", (("HeatmapHead", "heatmap_head"), ("ViPNASHead", "vipnas_head"))),
    ("integral", (("DSNTHead", "dsnt_head"), ("IntegralRegressionHead", "integral_head"))),
    ("neck", (("FeatureMapProcessor", "FeatureMapProcessor"),)),
    ("regression", (("RLEHead", "rle_head"), ("RLELoss", "RLELoss"), ("RegressionHead", "regression_head"))),
    ("rtmcc", (("RTMCCHead", "rtmcc_head"), ("RTMWHead", "rtmw_head"))),
    ("simcc", (("SimCCHead", "simcc_head"),)),
    ("stages", (("CPMHead", "cpm_head"), ("MSPNHead", "mspn_head"))),
    ("visible", (("VisPredictHead", "vis_predict_head"),)),
    ("topdown", (("TopdownPoseEstimator", "topdown_pose_estimator"),)),
)

# file of both zoos -> (name, target, scope)
_BACKBONES: Final[tuple[tuple[str, tuple[tuple[str, str, str | None], ...]], ...]] = (
    ("cspnext", (("CSPDarknet", "CSPDarknet", None), ("CSPNeXt", "CSPNeXt", None))),
    ("hourglass", (("CPM", "CPM", None), ("HourglassNet", "HourglassNet", None))),
    ("litehrnet", (("LiteHRNet", "LiteHRNet", None),)),
    ("mspn", (("MSPN", "MSPN", None), ("RSN", "RSN", None))),
    ("scnet", (("SCNet", "SCNet", None),)),
    ("se_resnet", (("SEResNet", "pose_se_resnet", "mmpose"),)),
)

_LOSSES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "heatmap",
        ("AdaptiveWingLoss", "CombinedTargetMSELoss", "FocalHeatmapLoss", "KeypointMSELoss", "KeypointOHKMMSELoss"),
    ),
    ("line", ("JSDiscretLoss", "KLDiscretLoss", "MLECCLoss")),
    ("regression", ("BCELoss", "BoneLoss", "MPJPELoss", "SoftWeightSmoothL1Loss", "SoftWingLoss", "WingLoss")),
)

_ROOMS: Final = (("torch", "torch"), ("jax", "flax"))

ESTIMATE: Final[tuple[Any, ...]] = (
    *(
        ("models", name, f"fkit.zoo.{room}.pose.{file}:{name if room == 'torch' else maker}", backend, None)
        for file, rows in _PARTS
        for name, maker in rows
        for backend, room in _ROOMS
    ),
    *(
        ("models", name, f"fkit.zoo.{room}.backbone.{file}:{target}", backend, scope)
        for file, rows in _BACKBONES
        for name, target, scope in rows
        for backend, room in _ROOMS
    ),
    ("models", "GlobalAveragePooling", "fkit.zoo.torch.classifier:GlobalAveragePooling", "torch", "mmpose"),
    ("models", "GlobalAveragePooling", "fkit.zoo.flax.pose.neck:GlobalAveragePooling", "jax", "mmpose"),
    *(
        ("models", "CSPNeXtPAFPN", f"fkit.zoo.{room}.pose.neck:PosePAFPN", backend, "mmpose")
        for backend, room in _ROOMS
    ),
    *(("models", name, f"fkit.pose.loss.{file}:{name}", None, None) for file, names in _LOSSES for name in names),
    ("models", "MultipleLossWrapper", "fkit.pose.integral:several_losses", None, None),
    *(
        ("models", name, f"fkit.pose.loss.regression:{name}", None, "mmpose")
        for name in ("L1Loss", "MSELoss", "SmoothL1Loss")
    ),
)
