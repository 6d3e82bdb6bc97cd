"""Rows of the built-in registry: transforms that load, filter and pack, and those of mmseg's and mmpretrain's own."""

__all__ = ["LOADING", "OWN", "TORCHVISION"]

LOADING = (
    ("transforms", "BaseFrameSample", "fkit.data.transform.detection.track:BaseFrameSample", None, None),
    ("transforms", "Collect", "fkit.data.transform.bundle:Collect", None, None),
    ("transforms", "DefaultFormatBundle", "fkit.data.transform.bundle:DefaultFormatBundle", None, None),
    ("transforms", "FilterAnnotations", "fkit.data.transform.detection.annotation:FilterAnnotations", None, None),
    ("transforms", "GTBoxSubOne_GLIP", "fkit.data.transform.detection.text:GTBoxSubOne_GLIP", None, None),
    ("transforms", "ImageToTensor", "fkit.data.transform.formatting:ImageToTensor", None, None),
    ("transforms", "InferencerLoader", "fkit.data.transform.loading:InferencerLoader", None, None),
    ("transforms", "LoadAnnotations", "fkit.data.transform.annotation:LoadAnnotations", None, None),
    ("transforms", "LoadAnnotations", "fkit.data.transform.detection.annotation:DetLoadAnnotations", None, "mmdet"),
    ("transforms", "LoadAnnotations", "fkit.data.transform.segmentation.annotation:SegLoadAnnotations", None, "mmseg"),
    ("transforms", "LoadDepthAnnotation", "fkit.data.transform.segmentation.annotation:LoadDepthAnnotation", None, None),
    ("transforms", "LoadEmptyAnnotations", "fkit.data.transform.detection.annotation:LoadEmptyAnnotations", None, None),
    ("transforms", "LoadImage", "fkit.data.transform.loading:LoadImage", None, None),
    ("transforms", "LoadImageFromFile", "fkit.data.transform.loading:LoadImageFromFile", None, None),
    ("transforms", "LoadImageFromNDArray", "fkit.data.transform.loading:LoadImageFromNDArray", None, None),
    ("transforms", "LoadImageFromWebcam", "fkit.data.transform.loading:LoadImageFromNDArray", None, None),
    ("transforms", "LoadMultiChannelImageFromFiles", "fkit.data.transform.loading:LoadMultiChannelImageFromFiles", None, None),
    ("transforms", "LoadMultipleRSImageFromFile", "fkit.data.transform.segmentation.loading:LoadMultipleRSImageFromFile", None, None),
    ("transforms", "LoadPanopticAnnotations", "fkit.data.transform.detection.annotation:LoadPanopticAnnotations", None, None),
    ("transforms", "LoadProposals", "fkit.data.transform.detection.annotation:LoadProposals", None, None),
    ("transforms", "LoadSingleRSImageFromFile", "fkit.data.transform.segmentation.loading:LoadSingleRSImageFromFile", None, None),
    ("transforms", "LoadTextAnnotations", "fkit.data.transform.detection.text:LoadTextAnnotations", None, None),
    ("transforms", "LoadTrackAnnotations", "fkit.data.transform.detection.annotation:LoadTrackAnnotations", None, None),
    ("transforms", "MultiScaleFlipAug", "fkit.data.transform.views:multi_scale_flip_aug", None, None),
    ("transforms", "OuterPad", "fkit.data.transform.bundle:OuterPad", None, None),
    ("transforms", "PackDetInputs", "fkit.data.transform.detection.formatting:PackDetInputs", None, None),
    ("transforms", "PackInputs", "fkit.data.transform.formatting:PackInputs", None, None),
    ("transforms", "PackReIDInputs", "fkit.data.transform.detection.formatting:PackReIDInputs", None, None),
    ("transforms", "PackSegInputs", "fkit.data.transform.segmentation.formatting:PackSegInputs", None, None),
    ("transforms", "PackTrackInputs", "fkit.data.transform.detection.track:PackTrackInputs", None, None),
    ("transforms", "RandomFlip_GLIP", "fkit.data.transform.detection.text:RandomFlip_GLIP", None, None),
    ("transforms", "RandomSamplingNegPos", "fkit.data.transform.detection.text:RandomSamplingNegPos", None, None),
    ("transforms", "TestTimeAug", "fkit.data.transform.views:TestTimeAug", None, None),
    ("transforms", "ToNumpy", "fkit.data.transform.classification.picture:PILToNumpy", None, None),
    ("transforms", "ToPIL", "fkit.data.transform.classification.picture:NumpyToPIL", None, None),
    ("transforms", "ToDataContainer", "fkit.data.transform.bundle:ToDataContainer", None, None),
    ("transforms", "ToHalf", "fkit.data.transform.bundle:ToHalf", None, None),
    ("transforms", "ToTensor", "fkit.data.transform.formatting:ToTensor", None, None),
    ("transforms", "Transpose", "fkit.data.transform.formatting:Transpose", None, None),
    ("transforms", "UniformRefFrameSample", "fkit.data.transform.detection.track:UniformRefFrameSample", None, None),
)  # fmt: skip

# names that other packages have too, with other numbers, are found from their scope alone
OWN = tuple(
    ("transforms", name, f"fkit.data.transform.{file}:{name}", None, scope)
    for scope, file, names in (
        (None, "segmentation.erase", "RandomCutOut"),
        (None, "segmentation.level", "AdjustGamma CLAHE RGB2Gray Rerange"),
        (None, "segmentation.map", "ConcatCDInput GenerateEdge RandomDepthMix"),
        (None, "segmentation.mosaic", "RandomMosaic"),
        (None, "segmentation.turn", "RandomRotFlip RandomRotate"),
        ("mmseg", "segmentation.crop", "RandomCrop"),
        (None, "segmentation.resize", "ResizeToMultiple"),
        ("mmseg", "segmentation.resize", "ResizeShortestEdge"),
        ("mmseg", "segmentation.distortion", "PhotoMetricDistortion"),
        (None, "classification.move", "Cutout GaussianBlur Shear Translate"),
        ("mmpretrain", "classification.move", "Rotate"),
        (None, "classification.crop", "EfficientNetCenterCrop EfficientNetRandomCrop RandomResizedCrop"),
        (None, "classification.crop", "RandomResizedCropAndInterpolationWithTwoPic"),
        ("mmpretrain", "classification.crop", "RandomCrop"),
        (None, "classification.mask", "BEiTMaskGenerator SimMIMMaskGenerator"),
        (None, "classification.picture", "MAERandomResizedCrop NumpyToPIL PILToNumpy"),
        ("mmpretrain", "classification.policy", "AutoAugment RandAugment"),
        (None, "classification.resize", "RandomTranslatePad ResizeEdge"),
        (None, "classification.tasks", "PackMultiTaskInputs"),
        (None, "classification.text", "CleanCaption OFAAddObjects"),
        (None, "classification.tone", "ColorJitter Lighting"),
        ("mmpretrain", "classification.tone", "RandomErasing"),
        (None, "classification.views", "ApplyToList MultiView"),
        (
            "mmpretrain",
            "classification.step",
            "AutoContrast Brightness ColorTransform Contrast Equalize Invert Posterize",
        ),
        ("mmpretrain", "classification.step", "Sharpness Solarize SolarizeAdd"),
    )
    for name in names.split()
)

TORCHVISION = tuple(
    ("transforms", f"torchvision/{name}", "fkit.data.transform.classification.picture:TorchVision", None, None)
    for name in (
        "AutoAugment", "CenterCrop", "ColorJitter", "Compose", "GaussianBlur", "Grayscale", "Normalize", "Pad", "RandAugment",
        "RandomApply", "RandomCrop", "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip", "RandomResizedCrop",
        "RandomRotation", "RandomVerticalFlip", "Resize", "ToTensor", "TrivialAugmentWide",
    )
)  # fmt: skip
