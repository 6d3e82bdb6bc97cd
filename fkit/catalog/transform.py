"""Rows of the built-in registry: transforms that load, filter and pack."""

__all__ = ["LOADING"]

LOADING = (
    ("transforms", "Collect", "fkit.data.transform.bundle:Collect", None, None),
    ("transforms", "DefaultFormatBundle", "fkit.data.transform.bundle:DefaultFormatBundle", None, None),
    ("transforms", "FilterAnnotations", "fkit.data.transform.detection.annotation:FilterAnnotations", None, None),
    ("transforms", "ImageToTensor", "fkit.data.transform.formatting:ImageToTensor", None, None),
    ("transforms", "InferencerLoader", "fkit.data.transform.loading:InferencerLoader", None, None),
    ("transforms", "LoadAnnotations", "fkit.data.transform.annotation:LoadAnnotations", None, None),
    ("transforms", "LoadAnnotations", "fkit.data.transform.detection.annotation:DetLoadAnnotations", None, "mmdet"),
    ("transforms", "LoadAnnotations", "fkit.data.transform.segmentation.annotation:SegLoadAnnotations", None, "mmseg"),
    ("transforms", "LoadEmptyAnnotations", "fkit.data.transform.detection.annotation:LoadEmptyAnnotations", None, None),
    ("transforms", "LoadImage", "fkit.data.transform.loading:LoadImage", None, None),
    ("transforms", "LoadImageFromFile", "fkit.data.transform.loading:LoadImageFromFile", None, None),
    ("transforms", "LoadImageFromNDArray", "fkit.data.transform.loading:LoadImageFromNDArray", None, None),
    ("transforms", "LoadImageFromWebcam", "fkit.data.transform.loading:LoadImageFromNDArray", None, None),
    ("transforms", "LoadMultiChannelImageFromFiles", "fkit.data.transform.loading:LoadMultiChannelImageFromFiles", None, None),
    ("transforms", "LoadPanopticAnnotations", "fkit.data.transform.detection.annotation:LoadPanopticAnnotations", None, None),
    ("transforms", "LoadProposals", "fkit.data.transform.detection.annotation:LoadProposals", None, None),
    ("transforms", "LoadTrackAnnotations", "fkit.data.transform.detection.annotation:LoadTrackAnnotations", None, None),
    ("transforms", "MultiScaleFlipAug", "fkit.data.transform.views:multi_scale_flip_aug", None, None),
    ("transforms", "PackDetInputs", "fkit.data.transform.detection.formatting:PackDetInputs", None, None),
    ("transforms", "PackInputs", "fkit.data.transform.formatting:PackInputs", None, None),
    ("transforms", "PackReIDInputs", "fkit.data.transform.detection.formatting:PackReIDInputs", None, None),
    ("transforms", "PackSegInputs", "fkit.data.transform.segmentation.formatting:PackSegInputs", None, None),
    ("transforms", "TestTimeAug", "fkit.data.transform.views:TestTimeAug", None, None),
    ("transforms", "ToDataContainer", "fkit.data.transform.bundle:ToDataContainer", None, None),
    ("transforms", "ToTensor", "fkit.data.transform.formatting:ToTensor", None, None),
    ("transforms", "Transpose", "fkit.data.transform.formatting:Transpose", None, None),
)  # fmt: skip
