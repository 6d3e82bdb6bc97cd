"""The run's keys, described once: their shapes, defaults and one line each. Errors, defaults and the README come from it.

The vocabulary is mmengine's, and the kit's own keys beside it. A key at the top level that is not here is the user's own
variable; a key inside one of these tables that the table does not list is an error.
"""

import numbers
from collections.abc import Mapping

from frozendict import frozendict

from fkit.config.schema import (
    ANYTHING,
    FLAG,
    NOTHING,
    PART,
    TEXT,
    Key,
    Shape,
    choice,
    either,
    listed,
    mapped,
    number,
    placed,
    table,
    whole,
)
from fkit.data.key import LOADER

__all__ = ["HOOKS", "KEYS", "LOOPS", "NAMES"]

LOOPS: Mapping[str, tuple[str, ...]] = frozendict(
    train_cfg=("IterBasedTrainLoop", "EpochBasedTrainLoop"), val_cfg=("ValLoop",), test_cfg=("TestLoop",)
)
"""mmengine's loops, by the table that names them; the first of training counts iterations, the second epochs."""

HOOKS: Mapping[str, Mapping[str, str]] = frozendict(
    runtime_info=frozendict(type="RuntimeInfoHook"),
    timer=frozendict(type="IterTimerHook"),
    sampler_seed=frozendict(type="DistSamplerSeedHook"),
    logger=frozendict(type="LoggerHook"),
    param_scheduler=frozendict(type="ParamSchedulerHook"),
    checkpoint=frozendict(type="CheckpointHook"),
)
"""The default hooks; one that a config gives without its type is the default one with some arguments changed."""

_CLASS = Shape("a name or a class", but=(numbers.Number, list, tuple, Mapping))
_PARTS = either(PART, listed(PART, ""), words="a mapping with 'type' or a list of them")
_METRIC = either(PART, Shape("a metric", methods=("observe",)), words="a mapping with 'type'")
_METRICS = either(
    _METRIC.options[0], listed(_METRIC, ""), _METRIC.options[1], words="a mapping with 'type' or a list of them"
)
_PHASE = placed("a pair of 'train' or 'val' and a count", choice("train", "val"), whole(1))
_NAMES = either(TEXT, listed(TEXT, "a list of texts"))
_LEVEL = either(choice("CRITICAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG", "NOTSET"), whole(0), words="a level")

_COUNT = Shape("a whole number of at least 1", (numbers.Real,), 1)  # mmengine takes 12.0 for 12
_INTERVAL = placed("a pair (milestone, interval)", whole(1), whole(1))
_TRAIN = table(
    Key(
        "type", _CLASS, doc="EpochBasedTrainLoop or IterBasedTrainLoop, `by_epoch` says it too; or a loop of one's own"
    ),
    Key("by_epoch", FLAG, doc="whether the run counts epochs; by default whether `max_epochs` is set"),
    Key("max_epochs", _COUNT, doc="epochs of training"),
    Key("max_iters", _COUNT, doc="iterations of training, with `by_epoch=False`"),
    Key(
        "val_interval",
        _COUNT,
        doc="epochs (or iterations) from validation to validation; 1 epoch, or 1000 iterations",
    ),
    Key("val_begin", whole(0), doc="the epoch (or iteration) of the first; 1 by default"),
    Key(
        "dynamic_intervals",
        listed(_INTERVAL, "a list of pairs (milestone, interval)"),
        doc="`(milestone, interval)` each: other intervals from the one before the milestone on",
    ),
)
_CLIP = table(
    Key("type", choice("norm", "value"), doc="which of the two; by default the one whose argument is there"),
    Key("max_norm", number(above=0, infinite=True), doc="the norm of all gradients together is at most this"),
    Key("norm_type", number(above=0, infinite=True), doc="p of that norm; 2 by default"),
    Key(
        "error_if_nonfinite", FLAG, doc="fail at the step whose norm is not finite, which waits for the device at each"
    ),
    Key("foreach", FLAG, doc="one kernel for many tensors, which is how it is done; False is refused"),
    Key("clip_value", number(above=0, infinite=True), doc="the largest absolute value of a gradient's entry"),
)
_LOSS_SCALE = either(
    choice("dynamic"),
    number(above=0),
    table(
        Key("init_scale", number(above=0), doc="the first scale; 65536 by default"),
        Key("growth_factor", number(above=1), doc="of the scale, after `growth_interval` good steps; 2 by default"),
        Key(
            "backoff_factor",
            number(above=0, below=1),
            doc="of the scale, after a step that was skipped; 0.5 by default",
        ),
        Key("growth_interval", whole(1), doc="good steps in a row until the scale grows; 2000 by default"),
        Key("enabled", FLAG, True, "False scales nothing"),
    ),
    words="'dynamic', a number above 0 or a mapping",
)
_OPTIMIZER = table(
    Key("type", _CLASS, "OptimWrapper", "`OptimWrapper`, or `AmpOptimWrapper` for mixed precision"),
    Key("optimizer", PART, doc="`dict(type='AdamW', lr=...)`: a name, and its arguments", required=True),
    Key("param_groups", listed(mapped(ANYTHING, "a mapping with 'params'"), "a list of mappings"),
        doc="`dict(params=PATTERN, lr=...)` each: settings of the parameters whose name matches"),
    Key("paramwise_cfg", mapped(ANYTHING, "a mapping, such as dict(norm_decay_mult=0.0)"),
        doc="settings by name and kind of layer, as the constructor takes them: `norm_decay_mult`, `bias_lr_mult`, `custom_keys`, ..."),
    Key("constructor", _CLASS, doc="what makes the groups: DefaultOptimWrapperConstructor (mmcv 1.x: DefaultOptimizerConstructor), "
        "one of layer-wise decay, or a function of one's own `(inventory, options, paramwise_cfg) -> groups`"),
    Key("clip_grad", _CLIP, doc="clip gradients before the update"),
    Key("accumulative_counts", whole(1), 1, "steps whose gradients are averaged for one update; the last ones of a run among themselves"),
    Key("loss_scale", _LOSS_SCALE,
        doc="of `AmpOptimWrapper`: 'dynamic', a number that stays, or a dict of GradScaler's arguments; 'dynamic' by default"),
    Key("dtype", choice("float16", "bfloat16"),
        doc="of `AmpOptimWrapper`: what a training step computes in; by default float16 on CUDA with torch, else bfloat16"),
    Key("use_fsdp", FLAG, doc="of `AmpOptimWrapper`: each process holds a part of the state, as `parallel='fsdp'`"),
    Key("params", TEXT, doc="a pattern over the names of the parameters it trains; by default all, and of several optimizers those "
        "below its own name"),
    Key("loss", TEXT, doc="the loss it follows; by default the sum of those whose name contains 'loss'"),
    Key("mode", TEXT, "loss", "what the model is called with; several optimizers may have one each"),
    Key("every", whole(1), 1, "it runs at every n-th step"),
    several=True,
)  # fmt: skip
_VAL = table(
    Key("type", _CLASS, doc="ValLoop, or a loop of one's own"),
    Key("fp16", FLAG, False, "predict in half precision: float16 on CUDA with torch, else bfloat16"),
)
_TEST = table(
    Key("type", _CLASS, doc="TestLoop, or a loop of one's own"),
    Key("fp16", FLAG, False, "predict in half precision: float16 on CUDA with torch, else bfloat16"),
)
_RANDOMNESS = table(
    Key("seed", whole(), doc="one value with `seed`"),
    Key("deterministic", FLAG, True, "repeat to the bit on CUDA too; False is for speed, and run.json says so"),
    Key("masks", choice("counter", "backend"), "counter",
        "dropout's bits: the run's own, equal on all backends, or the backend's generator"),
    Key("diff_rank_seed", FLAG, doc="of no effect: what is drawn for a sample hangs on its place in the whole batch, not on its process"),
)  # fmt: skip
_SCALE = table(
    Key(
        "enable",
        FLAG,
        False,
        "scale the learning rate of every group by batch size / `base_batch_size`, before schedules",
    ),
    Key("base_batch_size", whole(1), doc="the batch size that the learning rate is for"),
)
_PROCESSES = table(
    Key("mp_start_method", choice("fork", "forkserver", "spawn"), "fork",
        "how they start; `fork`, which stands in every OpenMMLab config, is read as forkserver: JAX's threads bear no fork"),
    Key("opencv_num_threads", whole(0), doc="threads of OpenCV, in this process and in each worker; 0 is none beside its own"),
)  # fmt: skip
_ENVIRONMENT = table(
    Key("cudnn_benchmark", FLAG, False,
        "let cuDNN time its algorithms and take the fastest; `randomness.deterministic` goes before it"),
    Key("mp_cfg", _PROCESSES, doc="of loader workers"),
    Key("dist_cfg", mapped(ANYTHING, "a mapping"), doc="how several processes talk: `backend` ('nccl', 'gloo'), `timeout` in seconds"),
    Key("resource_limit", whole(1), doc="files that may be open at once, at least, as far as the system lets them"),
)  # fmt: skip
_PARALLEL = either(
    choice("pmap", "ddp", "fsdp"),
    table(
        Key(
            "type",
            choice("pmap", "ddp", "fsdp"),
            "pmap",
            "each device takes a part of the batch; of fsdp, of the state too",
        ),
        Key("devices", whole(1), doc="one value with the key `devices`"),
    ),
    words="'pmap', 'ddp', 'fsdp' or a mapping",
)
_IMPORTS = table(
    Key("imports", _NAMES, doc="modules that register parts; each needs a permission (`--allow`)"),
    Key("allow_failed_imports", FLAG, False, "warn of one that cannot be imported, and go on"),
)
_SOURCE = table(
    Key("path", TEXT, doc="a checkpoint, a file of weights, or their address", required=True),
    Key("prefix", TEXT, doc="take the names that begin so, without it"),
    Key("revise_keys", listed(placed("a pair of a pattern and a replacement", TEXT, Shape("text", (str,))), "a list of pairs"),
        doc="changes of names; by default `module.` is taken away"),
    Key("strict", FLAG, False, "fail where not all fits"),
    Key("weights", choice("own", "ema"), doc="those of training, or their moving average; by default the average where there is one"),
)  # fmt: skip
_WEIGHTS = either(TEXT, _SOURCE, words="text or a mapping with 'path'")

KEYS: tuple[Key, ...] = (
    # what is trained, on what, how long
    Key("model", PART, doc="the model"),
    Key("data_preprocessor", either(mapped(ANYTHING, "a mapping"), Shape("a data preprocessor", methods=("collate", "__call__"))),
        doc="what a batch passes on the device first: channels, normalisation, padding; the model's own goes before it"),
    Key("train_dataloader", LOADER, doc="the data to train on"),
    Key("val_dataloader", LOADER, doc="the data of validation; its keys are those of `train_dataloader`"),
    Key("test_dataloader", LOADER, doc="the data of `fkit test`; likewise"),
    Key("train_cfg", _TRAIN, doc="how long to train, and when to validate"),
    Key("val_cfg", _VAL, doc="how to validate"),
    Key("test_cfg", _TEST, doc="how to test"),
    Key("optim_wrapper", _OPTIMIZER, doc="the optimizer, and what happens to gradients"),
    Key("param_scheduler", _PARTS, doc="schedules of the learning rate and momentum: one, or a list in order"),
    Key("val_evaluator", _METRICS, doc="the metrics of validation: one, or a list"),
    Key("test_evaluator", _METRICS, doc="the metrics of `fkit test`; by default validation's"),
    Key("workflow", listed(_PHASE, "a list of pairs ('train' or 'val', a count)", filled=True), (("train", 1),),
        "epochs of training, and of losses on validation data without an update, in turn"),
    Key("auto_scale_lr", _SCALE, doc="the learning rate by the batch size"),
    # what happens beside
    Key("default_hooks", mapped(either(PART, NOTHING), "a mapping of hooks"), HOOKS,
        "hooks by name, over the default ones; None leaves one out"),
    Key("custom_hooks", listed(PART, "a list of mappings with 'type'"), (), "hooks of one's own"),
    Key("log_processor", PART, doc="how a line of the log words and smooths what was measured: `LogProcessor`"),
    Key("log_level", _LEVEL, "INFO", "the least level that the terminal and log.txt show"),
    Key("visualizer", PART, doc="what draws pictures; its `vis_backends` are the run's writers"),
    Key("vis_backends", _PARTS, doc="writers beside the work folder's own files, where `visualizer` names none"),
    # how it is run
    Key("seed", whole(), doc="of weights, data and dropout; by default one is drawn and recorded"),
    Key("randomness", _RANDOMNESS, frozendict(), "how the seed is used"),
    Key("backend", TEXT, "torch", "`torch` or `jax`"),
    Key("dtype", choice("float32", "float64", "bfloat16", "float16"), "float32",
        "the compute type; float16, on torch alone, scales the loss"),
    Key("device", TEXT, doc="`cpu`, `cuda` or `cuda:N`; by default what is there"),
    Key("memory_format", choice("auto", "contiguous", "channels_last"), "auto",
        "of images on the device; auto is channels_last on CUDA in bfloat16 where the model has convolutions"),
    Key("threads", either(choice("auto"), whole(1), words="'auto' or a whole number of at least 1"), "auto",
        "of the CPU; auto is what OMP_NUM_THREADS says, else 1 where a step is small; JAX has its own unless it is a number"),
    Key("compile", FLAG, False, "compile the step (torch.compile; JAX always does)"),
    Key("scan_steps", whole(1), 1,
        "steps that may go into one call, on JAX: a loop on the device with the same numbers, for small models; a hook that is due ends it"),
    Key("activation_checkpointing", _NAMES,
        doc="parts of the model that the backward pass computes again, to save memory: `['backbone.layer1']`; torch's alone"),
    Key("efficient_conv_bn_eval", either(_NAMES, NOTHING),
        doc="mmengine's, parts of the model whose convolutions and resting batch norms are taken as one; changes nothing, for the kit's are so always"),
    Key("parallel", _PARALLEL,
        doc="how a step is shared among devices: on JAX `pmap`, each a part of the batch, over all devices of this machine or `devices` of them; on torch, which has a process for each, `ddp`, or `fsdp`: each holds a part of the state"),
    Key("devices", whole(1), doc="how many devices of this machine share a step; by default one, and with `parallel` on JAX all"),
    Key("env_cfg", _ENVIRONMENT, frozendict(), "of the process"),
    Key("launcher", choice("none", "pytorch", "slurm", "mpi"), "none", "what starts the processes of a run"),
    Key("strategy", either(PART, NOTHING), doc="mmengine's word for `parallel`: `DDPStrategy` or `FSDPStrategy`"),
    Key("runner_type", either(TEXT, PART, _CLASS, words="the name of a runner, or a mapping with 'type'"),
        doc="a runner of one's own, by its name in the registry `runners`; by default the kit's"),
    Key("model_wrapper_cfg", either(PART, NOTHING),
        doc="how a model is wrapped for several processes: `MMDistributedDataParallel` and its options, or `MMFullyShardedDataParallel`"),
    Key("find_unused_parameters", FLAG, False, "of several processes: look at each step for parameters that the loss does not reach"),
    Key("sync_bn", either(choice("torch", "mmcv"), NOTHING), doc="take batch statistics over several processes, in batch norm of any name"),
    Key("tta_model", PART, doc="of `fkit test --tta`, what merges the predictions of an image's views: `SegTTAModel`, `AverageClsScoreTTA`, `DetTTAModel`, or one's own"),
    Key("tta_pipeline", listed(ANYTHING, "a list of mappings with 'type'", filled=True), doc="of `fkit test --tta`, the test pipeline, which makes the views: its last step is `TestTimeAug`"),
    # where it comes from and goes
    Key("load_from", _WEIGHTS,
        doc="a checkpoint whose weights to begin with: a path or an address, or `dict(path=..., prefix=..., strict=...)`"),
    Key("resume", either(FLAG, TEXT), False, "go on with the run in the work folder, or from a checkpoint's path"),
    Key("work_dir", TEXT, doc="the work folder; by default `work_dirs/NAME_OF_CONFIG`"),
    Key("experiment_name", TEXT, doc="the run's name, in run.json and for writers; by default its work folder's"),
    Key("default_scope", TEXT, doc="the scope of the registry where names are looked up first"),
    Key("custom_imports", _IMPORTS, doc="code of one's own that registers parts"),
)  # fmt: skip
"""Every known top-level key; any other is the user's own variable, and is kept."""

NAMES: tuple[str, ...] = tuple(key.name for key in KEYS)
