"""Rows of the built-in registry: transforms, codecs and metrics of pose estimation."""

__all__ = ["POSE"]

POSE = (
    ("transforms", "FilterAnnotations", "fkit.data.transform.pose.keypoint:PoseFilterAnnotations", None, "mmpose"),
    ("transforms", "GenerateTarget", "fkit.data.transform.pose.target:GenerateTarget", None, None),
    ("transforms", "GetBBoxCenterScale", "fkit.data.transform.pose.box:GetBBoxCenterScale", None, None),
    ("transforms", "HandRandomFlip", "fkit.data.transform.pose.flip:HandRandomFlip", None, None),
    ("transforms", "KeypointConverter", "fkit.data.transform.pose.keypoint:KeypointConverter", None, None),
    ("transforms", "Mosaic", "fkit.data.transform.pose.mix:PoseMosaic", None, "mmpose"),
    ("transforms", "PackPoseInputs", "fkit.data.transform.pose.formatting:PackPoseInputs", None, None),
    ("transforms", "PhotometricDistortion", "fkit.data.transform.pose.colour:PhotometricDistortion", None, None),
    ("transforms", "RandomBBoxTransform", "fkit.data.transform.pose.box:RandomBBoxTransform", None, None),
    ("transforms", "RandomFlip", "fkit.data.transform.pose.flip:PoseFlip", None, "mmpose"),
    ("transforms", "RandomFlipAroundRoot", "fkit.data.transform.pose.flip:RandomFlipAroundRoot", None, None),
    ("transforms", "RandomHalfBody", "fkit.data.transform.pose.box:RandomHalfBody", None, None),
    ("transforms", "SingleHandConverter", "fkit.data.transform.pose.keypoint:SingleHandConverter", None, None),
    ("transforms", "TopdownAffine", "fkit.data.transform.pose.box:TopdownAffine", None, None),
    *(
        ("transforms", name, f"fkit.data.transform.pose.{file}:{name}", None, None)
        for file, names in (
            ("bottomup", ("BottomupGetHeatmapMask", "BottomupRandomAffine", "BottomupResize")),
            ("crop", ("BottomupRandomChoiceResize", "BottomupRandomCrop")),
            ("mix", ("YOLOXMixUp",)),
        )
        for name in names
    ),
    ("metrics", "CocoMetric", "fkit.metric.pose_coco:PoseCocoMetric", None, "mmpose"),
    ("metrics", "InterHandMetric", "fkit.metric.hand:InterHandMetric", None, None),
    ("metrics", "MPJPE", "fkit.metric.joint:MPJPE", None, None),
    ("metrics", "CocoWholeBodyMetric", "fkit.metric.pose_coco:CocoWholeBodyMetric", None, None),
    *(
        ("metrics", name, f"fkit.metric.keypoint:{name}", None, None)
        for name in ("AUC", "EPE", "JhmdbPCKAccuracy", "MpiiPCKAccuracy", "NME", "PCKAccuracy")
    ),
    *(
        ("codecs", name, f"fkit.data.codec.{file}:{name}", None, None)
        for file, names in (
            ("hand", ("Hand3DHeatmap",)),
            ("heatmap", ("MSRAHeatmap", "MegviiHeatmap", "UDPHeatmap")),
            ("lifting", ("ImagePoseLifting", "MotionBERTLabel", "VideoPoseLifting")),
            ("person", ("SPR", "AssociativeEmbedding", "DecoupledHeatmap")),
            ("processor", ("EDPoseLabel", "YOLOXPoseAnnotationProcessor")),
            ("regression", ("IntegralRegressionLabel", "RegressionLabel")),
            ("simcc", ("SimCCLabel",)),
        )
        for name in names
    ),
)  # fmt: skip
