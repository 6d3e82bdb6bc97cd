"""The datasets that the kit ships, as rows of the built-in registry."""

__all__ = ["DATASETS"]

_ROOM = "fkit.data.dataset"

# file -> what it holds, with no scope of its own
_FILES = (
    ("base", ("BaseDataset",)),
    ("caption", ("COCOCaption", "COCORetrieval", "COCOVQA", "Flickr30kCaption", "NoCaps")),
    (
        "classification",
        ("CustomDataset", "ImageNet", "ImageNet21k", "MultiLabelDataset"),
    ),
    (
        "classification_sets",
        ("CIFAR10", "CIFAR100", "CUB", "FashionMNIST", "InShop", "MNIST", "VOC"),
    ),
    ("combined", ("CombinedDataset",)),
    ("detection", ("BaseDetDataset", "CocoDataset")),
    (
        "detection_sets",
        (
            "CrowdHumanDataset",
            "DeepFashionDataset",
            "LVISV05Dataset",
            "LVISV1Dataset",
            "Objects365V1Dataset",
            "Objects365V2Dataset",
            "V3DetDataset",
        ),
    ),
    ("digit_boxes", ("DigitBoxes",)),
    ("digits", ("Digits",)),
    ("files", ("ImageFiles",)),
    ("grounding", ("Flickr30kDataset", "MDETRStyleRefCocoDataset", "ODVGDataset")),
    ("mix", ("MultiImageMixDataset",)),
    ("interhand", ("InterHand2DDoubleDataset",)),
    ("mpii", ("MpiiDataset", "MpiiTrbDataset")),
    ("panoptic", ("ADE20KPanopticDataset", "CocoPanopticDataset")),
    ("pose", ("BaseCocoStyleDataset",)),
    (
        "pose_forms",
        (
            "AFLWDataset",
            "CocoWholeBodyDataset",
            "CocoWholeBodyFaceDataset",
            "CocoWholeBodyHandDataset",
            "Face300VWDataset",
            "Face300WDataset",
            "FreiHandDataset",
            "HumanArt21Dataset",
            "JhmdbDataset",
            "LocustDataset",
            "PanopticHand2DDataset",
            "UBody2dDataset",
            "WFLWDataset",
            "ZebraDataset",
        ),
    ),
    (
        "pose_sets",
        (
            "AicDataset",
            "AnimalKingdomDataset",
            "AnimalPoseDataset",
            "AP10KDataset",
            "ATRWDataset",
            "COFWDataset",
            "CrowdPoseDataset",
            "DeepFashion2Dataset",
            "ExlposeDataset",
            "Face300WLPDataset",
            "FlyDataset",
            "HalpeDataset",
            "Horse10Dataset",
            "HumanArtDataset",
            "LapaDataset",
            "MacaqueDataset",
            "MhpDataset",
            "OCHumanDataset",
            "OneHand10KDataset",
            "PoseTrack18Dataset",
            "Rhd2DDataset",
        ),
    ),
    ("segmentation", ("BaseCDDataset", "BaseSegDataset")),
    (
        "segmentation_sets",
        (
            "ADE20KDataset",
            "BDD100KDataset",
            "COCOStuffDataset",
            "ChaseDB1Dataset",
            "CityscapesDataset",
            "DRIVEDataset",
            "DarkZurichDataset",
            "HRFDataset",
            "ISPRSDataset",
            "LEVIRCDDataset",
            "LIPDataset",
            "LoveDADataset",
            "MapillaryDataset_v1",
            "MapillaryDataset_v2",
            "NYUDataset",
            "NightDrivingDataset",
            "PascalContextDataset",
            "PascalContextDataset59",
            "PascalVOCDataset",
            "PotsdamDataset",
            "REFUGEDataset",
            "STAREDataset",
            "SynapseDataset",
            "iSAIDDataset",
        ),
    ),
    ("xml", ("VOCDataset", "WIDERFaceDataset", "XMLDataset")),
    ("video", ("BaseVideoDataset", "MOTChallengeDataset", "YouTubeVISDataset")),
    ("wrapper", ("ClassBalancedDataset", "ConcatDataset", "RepeatDataset", "Subset")),
)

# a package's own part of a name
_SCOPED = (
    ("CityscapesDataset", "detection_sets:DetCityscapesDataset", "mmdet"),
    ("LVISDataset", "detection_sets:LVISV05Dataset", None),
    ("iSAIDDataset", "detection_sets:DetiSAIDDataset", "mmdet"),
    ("CocoDataset", "pose_sets:CocoPoseDataset", "mmpose"),
    ("DeepFashionDataset", "pose_forms:DeepFashionPoseDataset", "mmpose"),
    ("ConcatDataset", "wrapper:DetConcatDataset", "mmdet"),
    ("BaseDataset", "classification:BaseClsDataset", "mmpretrain"),
)

DATASETS: tuple[tuple[str, str, str, str | None, str | None], ...] = (
    ("datasets", "ImageFolder", "fkit.data.folder:ImageFolder", None, None),
    *(("datasets", name, f"{_ROOM}.{file}:{name}", None, None) for file, names in _FILES for name in names),
    *(("datasets", name, f"{_ROOM}.{target}", None, scope) for name, target, scope in _SCOPED),
)
"""Rows of (kind, name, "module:attribute", backend, scope)."""
