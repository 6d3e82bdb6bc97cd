"""fkit: a functional, immutable kit for vision research.

Names are loaded when they are first asked for, so that ``import fkit`` opens no framework.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fkit.tree.version import __version__

if TYPE_CHECKING:
    from fkit import interop as interop
    from fkit.catalog.build import Built as Built
    from fkit.catalog.build import build as build
    from fkit.catalog.builtin import registry as registry
    from fkit.catalog.plugin import component as component
    from fkit.catalog.registry import Registry as Registry
    from fkit.compat.runner import build_runner as build_runner
    from fkit.config.change.action import DictAction as DictAction
    from fkit.config.config import Config as Config
    from fkit.config.config import load_config as load_config
    from fkit.data.dataset.own import Dataset as Dataset
    from fkit.data.source import Source as Source
    from fkit.data.transform.transform import Transform as Transform
    from fkit.edge.detection import inference_detector as inference_detector
    from fkit.edge.detection import init_detector as init_detector
    from fkit.edge.parting import bisect as bisect
    from fkit.edge.pose import inference_topdown as inference_topdown
    from fkit.edge.replay import replay as replay
    from fkit.edge.score import test_config as test_config
    from fkit.edge.score import validate_config as validate_config
    from fkit.edge.served import inference_model as inference_model
    from fkit.edge.served import init_model as init_model
    from fkit.edge.work import run_config as run_config
    from fkit.metric.dump import evaluate as evaluate
    from fkit.metric.metric import Metric as Metric
    from fkit.run import effect as effect
    from fkit.run.course import Course as Course
    from fkit.run.event import Event as Event
    from fkit.run.hook.hook import Hook as Hook
    from fkit.run.loop import train as train
    from fkit.run.plan import open_data as open_data
    from fkit.run.plan import plan as plan
    from fkit.run.plan import program as program
    from fkit.run.start import begin as begin
    from fkit.run.start import restore as restore
    from fkit.run.state import Memory as Memory
    from fkit.run.validation import test as test
    from fkit.run.validation import validate as validate
    from fkit.structures.batch import Batch as Batch
    from fkit.training.state import TrainState as TrainState
    from fkit.tree.error import FkitError as FkitError

# name -> "module:attribute"; a tuple of pairs, for nothing at module level is mutable
_NAMES = (
    ("Config", "fkit.config.config:Config"),
    ("DictAction", "fkit.config.change.action:DictAction"),
    ("FkitError", "fkit.tree.error:FkitError"),
    ("load_config", "fkit.config.config:load_config"),
    ("Registry", "fkit.catalog.registry:Registry"),
    ("Built", "fkit.catalog.build:Built"),
    ("registry", "fkit.catalog.builtin:registry"),
    ("build", "fkit.catalog.build:build"),
    ("component", "fkit.catalog.plugin:component"),
    ("Batch", "fkit.structures.batch:Batch"),
    ("TrainState", "fkit.training.state:TrainState"),
    ("program", "fkit.run.plan:program"),
    ("plan", "fkit.run.plan:plan"),
    ("open_data", "fkit.run.plan:open_data"),
    ("begin", "fkit.run.start:begin"),
    ("restore", "fkit.run.start:restore"),
    ("train", "fkit.run.loop:train"),
    ("validate", "fkit.run.validation:validate"),
    ("test", "fkit.run.validation:test"),
    # all of that in one call
    ("run_config", "fkit.edge.work:run_config"),
    ("test_config", "fkit.edge.score:test_config"),
    ("replay", "fkit.edge.replay:replay"),
    ("bisect", "fkit.edge.parting:bisect"),
    ("build_runner", "fkit.compat.runner:build_runner"),
    ("validate_config", "fkit.edge.score:validate_config"),
    ("init_model", "fkit.edge.served:init_model"),
    ("init_detector", "fkit.edge.detection:init_detector"),
    ("inference_model", "fkit.edge.served:inference_model"),
    ("inference_detector", "fkit.edge.detection:inference_detector"),
    ("inference_topdown", "fkit.edge.pose:inference_topdown"),
    ("Source", "fkit.data.source:Source"),
    # what an experiment of one's own is made of
    ("Dataset", "fkit.data.dataset.own:Dataset"),
    ("Transform", "fkit.data.transform.transform:Transform"),
    ("Metric", "fkit.metric.metric:Metric"),
    ("evaluate", "fkit.metric.dump:evaluate"),
    ("Hook", "fkit.run.hook.hook:Hook"),
    ("Memory", "fkit.run.state:Memory"),
    ("Event", "fkit.run.event:Event"),
    ("Course", "fkit.run.course:Course"),
    ("effect", "fkit.run.effect"),
    # torch and JAX in one program
    ("interop", "fkit.interop"),
)

# names that OpenMMLab's users look for, and what they write here
_RUN = "fkit.run_config(cfg) trains a config, as `fkit train CONFIG` does; fkit.build_runner takes objects, as mmcv's; in parts: fkit.plan, fkit.begin and fkit.train."
_REGISTRY = "A registry is a value: reg = fkit.registry(); reg.register(kind, maker) gives a new one, reg.build(kind, cfg) builds."
_INSTEAD = (
    *((name, f"Write fkit.effect.{name}.") for name in ("Stop", "Validate", "SetHyperparams", "WriteText", "WriteScalars")),
    ("BaseDataset", "Derive from fkit.data.dataset.BaseDataset; or from fkit.Dataset, whose `load` is `load_data_list`."),
    ("BaseTransform", "Derive from fkit.Transform: `draw` and `apply` are `transform`."),
    ("BaseMetric", "Derive from fkit.Metric: `values` gives a number a sample."),
    ("ConfigDict", "Write fkit.Config: the mappings inside it are Configs too."),
    ("build_from_cfg", "Write fkit.build(cfg, registry, kind); fkit.catalog.openmmlab.build_from_cfg takes mmcv's arguments."),
    ("set_random_seed", "A seed is an argument: fkit.begin(plan, seed), or `seed` in the config."),
    ("MMLogger", "Write fkit.compat.get_logger(name)."),
    *((name, _RUN) for name in ("Runner", "EpochBasedRunner", "IterBasedRunner", "train_detector")),
    *((f"{kind}S", _REGISTRY) for kind in ["MODEL", "HOOK", "DATASET", "TRANSFORM", "METRIC", "OPTIMIZER", "LOOP", "RUNNER", "VISUALIZER"]),
    *((f"{kind}S", _REGISTRY) for kind in ("OPTIM_WRAPPER", "PARAM_SCHEDULER", "DATA_SAMPLER", "LOG_PROCESSOR", "MODEL_WRAPPER")),
    *((kind, _REGISTRY) for kind in ("BACKBONES", "NECKS", "HEADS", "LOSSES", "DETECTORS", "PIPELINES", "TASK_UTILS")),
    *((kind, _REGISTRY) for kind in ("VISBACKENDS", "EVALUATOR", "WEIGHT_INITIALIZERS", "STRATEGIES", "FUNCTIONS")),
)  # fmt: skip
_ROOMS = ("fkit.fileio", "fkit.image", "fkit.structures", "fkit.compat")

__all__ = ["__version__", *(name for name, _ in _NAMES)]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    # opened by name too: `import fkit` alone loads nothing
    return importlib.import_module("fkit.tree.facade").attribute(__name__, name, _NAMES, _INSTEAD, _ROOMS)


def __dir__() -> list[str]:
    return sorted(__all__)
