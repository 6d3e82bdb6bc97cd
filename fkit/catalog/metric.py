"""Rows of the built-in registry: metrics."""

__all__ = ["METRICS"]

_BY_FILE = (
    ("accuracy", ("Accuracy",)),
    ("answer", ("ANLS", "GQAAcc", "ReportVQA", "ScienceQAMetric", "VQAAcc")),
    ("classification", ("ConfusionMatrix", "SingleLabelMetric")),
    ("coco", ("CocoMetric",)),
    ("crowd", ("CrowdHumanMetric",)),
    ("depth", ("DepthMetric",)),
    ("dump", ("DumpDetResults", "DumpResults")),
    ("lvis", ("LVISFixedAPMetric", "LVISMetric")),
    (
        "multilabel",
        (
            "AveragePrecision",
            "MultiLabelMetric",
            "RetrievalAveragePrecision",
            "RetrievalRecall",
            "VOCAveragePrecision",
            "VOCMultiLabelMetric",
        ),
    ),
    ("panoptic", ("CocoPanopticMetric",)),
    ("phrase", ("Flickr30kMetric", "RefExpMetric", "RefSegMetric", "VisualGroundingMetric")),
    ("reid", ("ReIDMetrics",)),
    ("segmentation", ("IoUMetric", "SemSegMetric")),
    ("video", ("YouTubeVISMetric",)),
    ("voc", ("OpenImagesMetric", "VOCMetric")),
    ("vocabulary", ("DODCocoMetric", "OVCocoMetric")),
)

METRICS = (
    *(("metrics", name, f"fkit.metric.{file}:{name}", None, None) for file, names in _BY_FILE for name in names),
    ("metrics", "gRefCOCOMetric", "fkit.metric.phrase:GRefCOCOMetric", None, None),
)
