"""What stands between a dataset and a model, as rows of the built-in registry: samplers, collate functions, preprocessors."""

__all__ = ["LOADERS"]

_SAMPLERS = tuple(
    ("data_samplers", name, f"fkit.data.{file}:{name}", None, None)
    for file, names in (
        ("aspect", ("AspectRatioBatchSampler", "GroupSampler")),
        (
            "balance",
            (
                "ClassAwareSampler",
                "CustomSampleSizeSampler",
                "GroupMultiSourceSampler",
                "MultiDataSampler",
                "MultiSourceSampler",
            ),
        ),
        (
            "sampler",
            ("DefaultSampler", "DistributedSampler", "InfiniteSampler", "RepeatAugSampler", "SequentialSampler"),
        ),
    )
    for name in names
)

_OTHER_SAMPLERS = (("data_samplers", "DistributedGroupSampler", "fkit.data.aspect:GroupSampler", None, None),)

_COLLATES = (
    ("functions", "default_collate", "fkit.data.collate:stacking", None, None),
    ("functions", "pseudo_collate", "fkit.data.collate:padding", None, None),
)

_PREPROCESSORS = tuple(
    ("models", name, f"fkit.training.preprocess:{name}", None, None)
    for name in (
        "BaseDataPreprocessor",
        "ClsDataPreprocessor",
        "DetDataPreprocessor",
        "ImgDataPreprocessor",
        "PoseDataPreprocessor",
        "SegDataPreProcessor",
        "SelfSupDataPreprocessor",
    )
)

LOADERS = (*_SAMPLERS, *_OTHER_SAMPLERS, *_COLLATES, *_PREPROCESSORS)
