"""The registry that the kit ships: rows of (kind, name, "module:attribute", backend, scope), imported when built."""

from typing import Final

from fkit.catalog.classify import CLASSIFY
from fkit.catalog.datasets import DATASETS
from fkit.catalog.detector import DETECTOR
from fkit.catalog.detr import DETR
from fkit.catalog.drawn import DRAWN
from fkit.catalog.entry import Entry, Lazy
from fkit.catalog.estimate import ESTIMATE
from fkit.catalog.loader import LOADERS
from fkit.catalog.metric import METRICS
from fkit.catalog.mixing import MIXING
from fkit.catalog.pose import POSE
from fkit.catalog.registry import Registry
from fkit.catalog.segment import SEGMENT
from fkit.catalog.task import TASK
from fkit.catalog.transform import LOADING, OWN, TORCHVISION
from fkit.catalog.vision import VISION

__all__ = ["registry"]

# backend None: any; scope None: the root, which every OpenMMLab scope falls back to.
# A package's own part of a name (mmpretrain's ResNet has other defaults than mmdet's) gets a row with its scope.
_MODELS_TORCH = (
    ("models", "ConvNet", "fkit.zoo.torch.small:ConvNet", "torch", None),
    ("models", "CrossEntropyLoss", "fkit.zoo.torch.classifier:CrossEntropyLoss", "torch", None),
    ("models", "GlobalAveragePooling", "fkit.zoo.torch.classifier:GlobalAveragePooling", "torch", None),
    ("models", "ImageClassifier", "fkit.zoo.torch.classifier:ImageClassifier", "torch", None),
    ("models", "LinearClsHead", "fkit.zoo.torch.classifier:LinearClsHead", "torch", None),
    ("models", "MLP", "fkit.zoo.torch.small:MLP", "torch", None),
    ("models", "ResNet", "fkit.zoo.torch.resnet:ResNet", "torch", None),
    ("models", "ResNet", "fkit.zoo.torch.resnet:DetResNet", "torch", "mmdet"),
    ("models", "ResNet_CIFAR", "fkit.zoo.torch.resnet:ResNetCifar", "torch", None),
    ("models", "Sequential", "torch.nn:Sequential", "torch", None),
)  # fmt: skip

_MODELS_JAX = (
    ("models", "ConvNet", "fkit.zoo.flax.small:ConvNet", "jax", None),
    ("models", "CrossEntropyLoss", "fkit.zoo.flax.classifier:CrossEntropyLoss", "jax", None),
    ("models", "GlobalAveragePooling", "fkit.zoo.flax.classifier:GlobalAveragePooling", "jax", None),
    ("models", "ImageClassifier", "fkit.zoo.flax.classifier:ImageClassifier", "jax", None),
    ("models", "LinearClsHead", "fkit.zoo.flax.classifier:linear_cls_head", "jax", None),
    ("models", "MLP", "fkit.zoo.flax.small:MLP", "jax", None),
    ("models", "ResNet", "fkit.zoo.flax.resnet:ResNet", "jax", None),
    ("models", "ResNet", "fkit.zoo.flax.resnet:DetResNet", "jax", "mmdet"),
    ("models", "ResNet_CIFAR", "fkit.zoo.flax.resnet:ResNetCifar", "jax", None),
)  # fmt: skip

_MERGERS = (
    ("models", "AverageClsScoreTTA", "fkit.training.merge:AverageClsScoreTTA", None, None),
    ("models", "BaseTTAModel", "fkit.training.merge:BaseTTAModel", None, None),
    ("models", "DetTTAModel", "fkit.training.merge:DetTTAModel", None, None),
    ("models", "SegTTAModel", "fkit.training.merge:SegTTAModel", None, None),
)

_HOOKS = (
    ("hooks", "CheckpointHook", "fkit.run.hook.checkpoint:CheckpointHook", None, None),
    ("hooks", "DistEvalHook", "fkit.run.hook.evaluation:DistEvalHook", None, None),
    ("hooks", "EarlyStoppingHook", "fkit.run.hook.early_stopping:EarlyStoppingHook", None, None),
    ("hooks", "EvalHook", "fkit.run.hook.evaluation:EvalHook", None, None),
    ("hooks", "EMAHook", "fkit.run.hook.ema:EMAHook", None, None),
    ("hooks", "EMAHook", "fkit.run.hook.ema:MmcvEMAHook", None, "mmcv"),
    ("hooks", "ExpMomentumEMAHook", "fkit.run.hook.ema:ExpMomentumEMAHook", None, None),
    ("hooks", "LinearMomentumEMAHook", "fkit.run.hook.ema:LinearMomentumEMAHook", None, None),
    ("hooks", "DistSamplerSeedHook", "fkit.run.hook.log:DistSamplerSeedHook", None, None),
    ("hooks", "IterTimerHook", "fkit.run.hook.timer:IterTimerHook", None, None),
    ("hooks", "LoggerHook", "fkit.run.hook.log:LoggerHook", None, None),
    ("hooks", "ParamSchedulerHook", "fkit.run.hook.schedule:ParamSchedulerHook", None, None),
    ("hooks", "PrepareTTAHook", "fkit.run.hook.tta:PrepareTTAHook", None, None),
    ("hooks", "RuntimeInfoHook", "fkit.run.hook.log:RuntimeInfoHook", None, None),
    ("hooks", "TextLoggerHook", "fkit.run.hook.text:TextLoggerHook", None, None),
    ("log_processors", "LogProcessor", "fkit.run.hook.processor:LogProcessor", None, None),
    ("loops", "EpochBasedTrainLoop", "fkit.run.course:by_epochs", None, None),
    ("loops", "IterBasedTrainLoop", "fkit.run.course:by_iterations", None, None),
    ("loops", "TestLoop", "fkit.run.scoring:Scoring", None, None),
    ("runners", "EpochBasedRunner", "fkit.run.loop:standard", None, None),
    ("runners", "EpochBasedRunnerAmp", "fkit.run.loop:standard", None, None),
    ("runners", "IterBasedRunner", "fkit.run.loop:standard", None, None),
    ("runners", "Runner", "fkit.run.loop:standard", None, None),
    ("loops", "ValLoop", "fkit.run.scoring:Scoring", None, None),
)  # fmt: skip

_OTHER_HOOKS = tuple(
    ("hooks", name, f"fkit.run.hook.{file}:{name}", None, None)
    for file, names in (
        ("alone", ("SetEpochInfoHook", "SyncBuffersHook", "SyncNormHook")),
        ("check", ("CheckInvalidLossHook", "ClosureHook", "NumClassCheckHook")),
        ("machine", ("EmptyCacheHook", "MemoryProfilerHook", "ProfilerHook")),
        (
            "visualise",
            (
                "BadCaseAnalysisHook",
                "DetVisualizationHook",
                "GroundingVisualizationHook",
                "NaiveVisualizationHook",
                "PoseVisualizationHook",
                "SegVisualizationHook",
                "TrackVisualizationHook",
                "VisualizationHook",
            ),
        ),
        ("norm", ("PreciseBNHook",)),
        (
            "switch",
            (
                "PipelineSwitchHook",
                "RTMOModeSwitchHook",
                "SwitchRecipeHook",
                "YOLOXModeSwitchHook",
                "YOLOXPoseModeSwitchHook",
            ),
        ),
    )
    for name in names
)

_CONSTRUCTORS = (
    ("optim_wrapper_constructors", "DefaultOptimWrapperConstructor", "fkit.training.paramwise:mmengine_default", None, None),
    ("optim_wrapper_constructors", "DefaultOptimizerConstructor", "fkit.training.paramwise:mmcv_default", None, None),
    ("optim_wrapper_constructors", "ForceDefaultOptimWrapperConstructor", "fkit.training.paramwise:forced_default", None, None),
    ("optim_wrapper_constructors", "LayerDecayOptimWrapperConstructor", "fkit.training.depth:mmpose_layers", None, None),
    ("optim_wrapper_constructors", "LayerDecayOptimizerConstructor", "fkit.training.depth:mmseg_vit_layers", None, None),
    ("optim_wrapper_constructors", "LearningRateDecayOptimWrapperConstructor", "fkit.training.depth:mmpretrain_layers", None, None),
    ("optim_wrapper_constructors", "LearningRateDecayOptimizerConstructor", "fkit.training.depth:mmseg_layers", None, None),
)  # fmt: skip


_TWINNED = (
    "Constant",
    "Linear",
    "Step",
    "MultiStep",
    "Exponential",
    "CosineAnnealing",
    "Poly",
    "QuadraticWarmup",
    "CosineRestart",
    "ReduceOnPlateau",
)
"""mmengine's schedulers that are there for the momentum and for any hyperparameter too, without their "LR"."""

_SCHEDULES = (
    ("param_schedulers", "ConstantLR", "fkit.training.schedule.factor:PoseConstantLR", None, "mmpose"),
    *(
        ("param_schedulers", name, f"fkit.training.schedule.{file}:{name}", None, None)
        for file, names in (
            (
                "anneal",
                ("CosineAnnealingLR", "CosineAnnealingWeightDecay", "PolyLR", "PolyLRRatio", "QuadraticWarmupLR"),
            ),
            ("cycle", ("CosineRestartLR", "OneCycleLR")),
            ("factor", ("ConstantLR", "ExponentialLR", "LinearLR", "MultiStepLR", "StepLR")),
            ("plateau", ("ReduceOnPlateauLR",)),
            ("turning", ("CyclicLrUpdater", "CyclicMomentumUpdater", "OneCycleLrUpdater", "OneCycleMomentumUpdater")),
            (
                "twin",
                (
                    "CosineAnnealingMomentumUpdater",
                    "LinearAnnealingMomentumUpdater",
                    "StepMomentumUpdater",
                    "WarmupMomentum",
                    "OneCycleParamScheduler",
                    *(f"{name}{word}" for name in _TWINNED for word in ("Momentum", "ParamScheduler")),
                ),
            ),
            (
                "updater",
                (
                    "CosineAnnealingCooldownLrUpdater",
                    "CosineAnnealingLrUpdater",
                    "CosineRestartLrUpdater",
                    "ExpLrUpdater",
                    "FlatCosineAnnealingLrUpdater",
                    "InvLrUpdater",
                    "LinearAnnealingLrUpdater",
                    "PolyLrUpdater",
                    "StepLrUpdater",
                    "WarmupLR",
                ),
            ),
        )
        for name in names
    ),
)

_DATA = (
    ("transforms", "Compose", "fkit.data.transform.compose:Compose", None, None),
    ("transforms", "Normalize", "fkit.data.transform.photometry:Normalize", None, None),
    ("transforms", "ToUnit", "fkit.data.transform.photometry:ToUnit", None, None),
)  # fmt: skip

_GEOMETRY = tuple(
    ("transforms", name, f"fkit.data.transform.{file}:{name}", None, None)
    for file, names in (
        ("canvas", ("Expand", "RandomCenterCropPad", "RandomShift")),
        ("crop", ("CenterCrop", "MinIoURandomCrop", "RandomCrop")),
        ("erase", ("CutOut", "RandomErasing")),
        ("flip", ("RandomFlip",)),
        ("grey", ("RandomGrayscale",)),
        ("pad", ("Pad",)),
        ("resize", ("FixScaleResize", "FixShapeResize", "Resize", "SegRescale")),
        ("scale", ("RandomChoiceResize", "RandomResize", "ResizeShortestEdge")),
        ("turn", ("ShiftScaleRotate",)),
    )
    for name in names
)

_WRITERS = (
    ("visualizers", "DetLocalVisualizer", "fkit.visualize.task:DetLocalVisualizer", None, None),
    ("visualizers", "PoseLocalVisualizer", "fkit.visualize.pose:PoseLocalVisualizer", None, None),
    ("visualizers", "Pose3dLocalVisualizer", "fkit.visualize.space:Pose3dLocalVisualizer", None, None),
    ("visualizers", "SegLocalVisualizer", "fkit.visualize.task:SegLocalVisualizer", None, None),
    ("visualizers", "TrackLocalVisualizer", "fkit.visualize.task:TrackLocalVisualizer", None, None),
    ("visualizers", "UniversalVisualizer", "fkit.visualize.universal:UniversalVisualizer", None, None),
    ("visualizers", "Visualizer", "fkit.visualize.canvas:Visualizer", None, None),
    ("vis_backends", "AimVisBackend", "fkit.edge.service:AimVisBackend", None, None),
    ("vis_backends", "ClearMLVisBackend", "fkit.edge.service:ClearMLVisBackend", None, None),
    ("vis_backends", "DVCLiveVisBackend", "fkit.edge.service:DVCLiveVisBackend", None, None),
    ("vis_backends", "LocalVisBackend", "fkit.edge.board:LocalVisBackend", None, None),
    ("vis_backends", "MLflowVisBackend", "fkit.edge.service:MLflowVisBackend", None, None),
    ("vis_backends", "NeptuneVisBackend", "fkit.edge.service:NeptuneVisBackend", None, None),
    ("vis_backends", "PaviVisBackend", "fkit.edge.service:PaviVisBackend", None, None),
    ("vis_backends", "SegmindVisBackend", "fkit.edge.service:SegmindVisBackend", None, None),
    ("vis_backends", "TensorboardVisBackend", "fkit.edge.board:TensorboardVisBackend", None, None),
    ("vis_backends", "WandbVisBackend", "fkit.edge.service:WandbVisBackend", None, None),
)  # fmt: skip

_FILES = (
    ("file_handlers", "json", "fkit.fileio.handler:json_handler", None, None),
    ("file_handlers", "npy", "fkit.fileio.handler:npy_handler", None, None),
    ("file_handlers", "npz", "fkit.fileio.handler:npz_handler", None, None),
    ("file_handlers", "pickle", "fkit.fileio.handler:pickle_handler", None, None),
    ("file_handlers", "pkl", "fkit.fileio.handler:pickle_handler", None, None),
    ("file_handlers", "safetensors", "fkit.fileio.handler:safetensors_handler", None, None),
    ("file_handlers", "txt", "fkit.fileio.handler:txt_handler", None, None),
    ("file_handlers", "yaml", "fkit.fileio.handler:yaml_handler", None, None),
    ("file_handlers", "yml", "fkit.fileio.handler:yaml_handler", None, None),
    ("checkpoint_schemes", "mmcls", "fkit.fileio.zoo:mmcls", None, None),
    ("checkpoint_schemes", "modelzoo", "fkit.fileio.zoo:torchvision", None, None),
    ("checkpoint_schemes", "open-mmlab", "fkit.fileio.zoo:openmmlab", None, None),
    ("checkpoint_schemes", "openmmlab", "fkit.fileio.zoo:openmmlab", None, None),
    ("checkpoint_schemes", "torchvision", "fkit.fileio.zoo:torchvision", None, None),
    ("file_backends", "local", "fkit.fileio.backend:local_storage", None, None),
    ("file_backends", "disk", "fkit.fileio.backend:local_storage", None, None),
    ("file_backends", "file", "fkit.fileio.backend:local_storage", None, None),
    ("file_backends", "http", "fkit.fileio.backend:http_storage", None, None),
    ("file_backends", "https", "fkit.fileio.backend:http_storage", None, None),
    ("file_backends", "memory", "fkit.fileio.backend:memory_storage", None, None),
    ("file_backends", "zip", "fkit.fileio.backend:zip_storage", None, None),
    ("file_backends", "lmdb", "fkit.fileio.backend:lmdb_storage", None, None),
    ("file_backends", "s3", "fkit.fileio.backend:s3_storage", None, None),
    ("file_backends", "petrel", "fkit.fileio.backend:s3_storage", None, None),
)  # fmt: skip

_ROWS: tuple[tuple[str, str, str, str | None, str | None], ...] = (
    *_MODELS_TORCH, *_MODELS_JAX, *_MERGERS, *_HOOKS, *_OTHER_HOOKS, *_CONSTRUCTORS, *_SCHEDULES, *_DATA, *_GEOMETRY, *DATASETS, *LOADING, *OWN, *TORCHVISION,
    *MIXING, *METRICS, *_FILES,
    *_WRITERS,
    *POSE, *TASK, *VISION, *DETECTOR, *CLASSIFY, *SEGMENT, *DETR,
    *ESTIMATE, *DRAWN,
    *LOADERS,
)  # fmt: skip

# OpenMMLab's packages are scopes below the root, open: `mmdet.ResNet` is the kit's ResNet, from mmdet too. So is torch:
# new-style configs import their optimizers from it (`torch.optim.SGD`)
_SCOPES = (
    "mmaction", "mmagic", "mmcls", "mmcv", "mmdeploy", "mmdet", "mmdet3d", "mmedit", "mmengine", "mmfewshot", "mmflow",
    "mmgen", "mmhuman3d", "mmocr", "mmpose", "mmpretrain", "mmrazor", "mmrotate", "mmseg", "mmselfsup", "mmtrack",
    "mmyolo", "torch",
)  # fmt: skip


def _built_in() -> Registry:
    reg = Registry()
    for scope in _SCOPES:
        reg = reg.child(scope, open=True)
    return reg.add(
        Entry(kind, name, reg.scope if scope is None else scope, backend, Lazy(target))
        for kind, name, target, backend, scope in _ROWS
    )


_REGISTRY: Final = _built_in()


def registry() -> Registry:
    """The built-in registry: a value, made of lazy entries; nothing is imported until it is built.

    Example:
        >>> reg = registry()
        >>> "models" in reg.kinds, "mmdet" in reg.children
        (True, True)
    """
    return _REGISTRY
