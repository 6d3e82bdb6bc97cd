"""mmcv's ``build_runner`` and its runners, as values: for scripts that have made their model and optimizer already."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
from frozendict import frozendict

from fkit.array.random import key
from fkit.catalog.builtin import registry as builtin_registry
from fkit.config.config import Config
from fkit.config.dialect import translate
from fkit.data.ambient import seeded
from fkit.data.source import Source
from fkit.edge.progress import Screen
from fkit.edge.work import Ready, screened, work
from fkit.recipe.vocabulary import name_of
from fkit.run.effect import WriteText
from fkit.run.hook.hook import Hook, ask
from fkit.run.loop import train
from fkit.run.plan import Plan, plan
from fkit.run.start import begin
from fkit.run.state import RunState
from fkit.structures.batch import Batch
from fkit.training.fleet import ALONE, Fleet
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY
from fkit.tree.name import open_name

__all__ = ["Fed", "Runner", "build_runner"]

_RUNNERS = ("EpochBasedRunner", "IterBasedRunner", "EpochBasedRunnerAmp", "Runner")
_DEFAULTS = (
    "model",
    "optimizer",
    "batch_processor",
    "work_dir",
    "logger",
    "meta",
    "timestamp",
    "max_epochs",
    "max_iters",
)
_HOOKS = ("lr_config", "optimizer_config", "checkpoint_config", "log_config", "momentum_config", "custom_hooks")


def build_runner(cfg: Mapping[str, Any], default_args: Mapping[str, Any] | None = None) -> "Runner":
    """mmcv's ``build_runner``: a runner of what a script has made already, on torch.

    Args:
        cfg: ``dict(type="EpochBasedRunner", max_epochs=12)``, or an IterBasedRunner with ``max_iters``.
        default_args: what ``cfg`` does not say: ``model``, ``optimizer``, ``work_dir``, ``logger``, ``meta``,
            ``timestamp``, ``max_epochs``, ``max_iters``, ``batch_processor``.

    Returns:
        a frozen `Runner`.

    Raises:
        FkitError: another argument, a runner that is none of mmcv's, a model or an optimizer that cannot be taken over.

    Example:
        >>> runner = build_runner(dict(type="EpochBasedRunner", max_epochs=2))
        Traceback (most recent call last):
        fkit.tree.error.FkitValueError: a runner needs `model`: build_runner(cfg, dict(model=model, optimizer=optimizer)).
    """
    expect(cfg, Mapping, "`cfg` is a mapping, as dict(type='EpochBasedRunner', max_epochs=12)")
    if default_args is not None:
        expect(default_args, Mapping, "`default_args` are a mapping, as dict(model=model, optimizer=optimizer)")
    values = {**(default_args or {}), **cfg}
    kind = name_of(values.pop("type", "EpochBasedRunner"))
    if kind not in _RUNNERS:
        raise FkitValueError(f"type = {kind!r} is no runner of mmcv's.", value=kind, choices=_RUNNERS)
    for name in values:
        if name not in _DEFAULTS:
            raise FkitTypeError(f"a runner takes no {name!r}.", value=str(name), choices=_DEFAULTS, label="Arguments")
    if values.get("model") is None:
        raise FkitValueError("a runner needs `model`: build_runner(cfg, dict(model=model, optimizer=optimizer)).")
    if values.get("max_epochs") is not None and values.get("max_iters") is not None:
        raise FkitValueError("max_epochs and max_iters exclude each other.")
    return Runner(kind, **{name: value for name, value in values.items() if value is not None})


@dataclass(frozen=True)
class Runner:
    """A runner of mmcv's, frozen: what registers something gives a new one, and `run` the run at its end.

    Attributes:
        kind: "EpochBasedRunner", "IterBasedRunner", ...
        model: with mmcv's ``train_step(data, optimizer)``, or the kit's ``forward(inputs, samples, mode)``. It is copied,
            with its weights, and stays as it is; `state_dict` gives the trained ones.
        optimizer: one of torch.optim's, fresh, of all trainable parameters of the model.
        batch_processor: mmcv's deprecated ``(model, data, train_mode) -> dict``.
        work_dir: where logs and checkpoints go; None writes none.
        logger: gets each line of the log.
        meta: on record in run.json, with ``timestamp``.
        hooks: mmcv's keys of hooks.
        values: hooks that were registered as values: (name, hook), in order.
        load_from: a checkpoint whose weights to begin with.
        resume_from: go on with the run in the work folder, or from a checkpoint's path.
    """

    kind: str
    model: Any
    optimizer: Any = None
    batch_processor: Callable[..., Any] | None = None
    work_dir: str | None = None
    logger: logging.Logger | None = None
    meta: Mapping[str, Any] = EMPTY
    timestamp: str | None = None
    max_epochs: int | None = None
    max_iters: int | None = None
    hooks: Mapping[str, Any] = EMPTY
    values: tuple[Hook, ...] = ()
    load_from: str | None = None
    resume_from: bool | str = False

    def __post_init__(self) -> None:
        if self.logger is not None:
            expect(self.logger, logging.Logger, "`logger` is a logging.Logger")
        expect(self.meta, Mapping, "`meta` is a mapping")
        self._module()

    @property
    def model_name(self) -> str:
        """The class of the model."""
        return type(self.model).__name__

    def register_training_hooks(
        self,
        lr_config: Any = None,
        optimizer_config: Any = None,
        checkpoint_config: Any = None,
        log_config: Any = None,
        momentum_config: Any = None,
        timer_config: Any = None,
        custom_hooks_config: Any = None,
    ) -> "Runner":
        """The runner with these hooks, each a mapping as in a config of mmcv's. ``timer_config`` is what a run does anyway."""
        rows = (lr_config, optimizer_config, checkpoint_config, log_config, momentum_config, custom_hooks_config)
        said = {name: value for name, value in zip(_HOOKS, rows, strict=True) if value is not None}
        return replace(self, hooks=frozendict({**self.hooks, **said}))

    def register_hook(self, hook: Any, priority: str | int | None = None) -> "Runner":
        """The runner with one more hook: a value derived from `fkit.Hook`, or a mapping with ``type``."""
        if isinstance(hook, Mapping):
            node = {**cast("Mapping[str, Any]", hook), **({} if priority is None else {"priority": priority})}
            custom = (*self.hooks.get("custom_hooks", ()), node)
            return replace(self, hooks=frozendict({**self.hooks, "custom_hooks": list(custom)}))
        expect(hook, Hook, "`hook` is a hook (derive it from fkit.Hook), or a mapping with 'type'")
        name = f"Given{len(self.values)}"
        told = replace(self, values=(*self.values, hook))
        return told.register_hook({"type": name}, priority)

    def load_checkpoint(self, filename: str) -> "Runner":
        """The runner that begins with the weights of a checkpoint."""
        return replace(self, load_from=filename)

    def resume(self, checkpoint: bool | str = True) -> "Runner":
        """The runner that goes on with the run in the work folder, or from a checkpoint's path."""
        return replace(self, resume_from=checkpoint)

    def run(
        self,
        data_loaders: Sequence[Any],
        workflow: Sequence[tuple[str, int]] = (("train", 1),),
        max_epochs: int | None = None,
    ) -> RunState:
        """Train.

        Args:
            data_loaders: one for each item of the workflow: a DataLoader of torch's, any iterable of batches that can be
                gone through again, or a `fkit.Source`.
            workflow: ("train" or "val", a count) each.
            max_epochs: where the runner does not say.

        Returns:
            the run at its end; ``run.signal`` is the name of a signal that ended it early.

        Raises:
            FkitError: what is wrong with the arguments, or what ended the run.
        """
        runner = self if max_epochs is None else replace(self, max_epochs=max_epochs)
        return runner._run(_sources(data_loaders, workflow), workflow)

    def _run(self, data: Mapping[str, Source], workflow: Sequence[tuple[str, int]]) -> RunState:
        if self.optimizer is None:
            raise FkitValueError("a runner that trains needs `optimizer`: build_runner(cfg, dict(optimizer=...)).")
        cfg = self._config(workflow, data)
        if self.work_dir is not None:
            with screened(Screen if self.logger is None else partial(_Logged, self.logger)) as screen:
                ready = Ready(
                    lambda seeded, fleet: self._plan(seeded, data, fleet), self._begin, lambda _: data, self._record()
                )
                return work(cfg, None, screen, ready=ready).run
        if self.resume_from or self.load_from:
            raise FkitValueError("a run without work_dir begins anew.", repair="Give build_runner a work_dir.")
        made = self._plan(cfg, data)
        run = self._begin(made)
        for run, effects in train(made, run, data):
            for effect in effects:
                if self.logger is not None and isinstance(effect, WriteText):
                    self.logger.log(_level(effect.level), effect.text)
        return run

    def state_dict(self, run: RunState) -> dict[str, Any]:
        """The weights of a run, as ``model.load_state_dict`` takes them."""
        expect(run, RunState, "`run` is a run's state (Runner.run gives one)")
        tensor = open_name("torch:as_tensor")
        held = {**run.train.params, **run.train.buffers}
        return {name.removeprefix("module."): tensor(value).detach().clone() for name, value in held.items()}

    def current_lr(self, run: RunState) -> list[float]:
        """The learning rate of each parameter group, as a run has it in force."""
        expect(run, RunState, "`run` is a run's state (Runner.run gives one)")
        return [float(rate) for rate in run.hyperparams["lr"]]

    def _config(self, workflow: Sequence[tuple[str, int]], names: Iterable[str]) -> Config:
        """What the runner does, in the keys of a run."""
        iterates = self.max_iters is not None
        runner = {"type": "IterBasedRunner" if iterates and self.kind == "Runner" else self.kind}
        described = _ready("describe")(self.optimizer, self.model)
        cfg = {
            "model": {"type": self.model_name},
            "data": {"samples_per_gpu": 1, **{name: {"type": "GivenBatches", "part": name} for name in names}},
            "optimizer": {"type": described.type, **described.options},
            "runner": runner | ({"max_iters": self.max_iters} if iterates else {"max_epochs": self.max_epochs}),
            "workflow": [tuple(item) for item in workflow],
            **self.hooks,
            "work_dir": self.work_dir,
            "load_from": self.load_from,
            "resume_from": self.resume_from if isinstance(self.resume_from, str) else None,
            "auto_resume": self.resume_from is True,
            "device": described.device,
            "seed": 0,
        }
        new, _ = translate(Config({name: value for name, value in cfg.items() if value is not None}))
        return new.merge({"optim_wrapper.param_groups": list(described.groups)}) if described.groups else new

    def _plan(self, cfg: Config, data: Mapping[str, Source], fleet: Fleet = ALONE) -> Plan:
        """The plan of the config, with the objects that there are in place of those it names."""
        stepped = self._module()[1]
        reg = builtin_registry().register("models", lambda: self._module()[0], name=self.model_name, replace=True)
        reg = reg.register("datasets", lambda part, test_mode=False: _Count(data[part]), name="GivenBatches")
        for place, hook in enumerate(self.values):
            reg = reg.register("hooks", lambda hook=hook: hook, name=f"Given{place}")
        made = plan(cfg, reg, fleet=fleet)
        if not stepped:
            return made
        phases = tuple(phase._replace(loss="loss") for phase in made.program.spec.phases)  # the rest is logged alone
        program = made.room.program(replace(made.program.spec, phases=phases))
        for name, hook in made.hooks:
            program = ask(name, "wrap", hook.wrap, program)
        return replace(made, program=program)

    def _module(self) -> tuple[Any, bool]:
        """A copy of the model, as the kit calls one; whether that is by its ``train_step``."""
        return _ready("model_of")(self.model, self.batch_processor)

    def _begin(self, made: Plan) -> RunState:
        """The run with the model's own weights."""
        run = begin(made)
        return run._replace(train=made.program.load(run.train, _ready("weights_of")(self._module()[0])))

    def _record(self) -> Mapping[str, Any]:
        rows = {"meta": dict(self.meta), "timestamp": self.timestamp}
        return {name: value for name, value in rows.items() if value}


def _ready(name: str) -> Callable[..., Any]:
    return open_name(f"fkit.backend.torch.ready:{name}")


def _sources(loaders: Sequence[Any], workflow: Sequence[Any]) -> dict[str, Source]:
    """The sources of a run, by name.

    Raises:
        FkitError: not as many as the workflow has items, one that is none, or two for one mode.
    """
    expect(loaders, (list, tuple), "`data_loaders` are a list, one for each item of the workflow")
    expect(workflow, (list, tuple), "`workflow` is a list of pairs, as [('train', 1)]")
    if len(loaders) != len(workflow):
        raise FkitValueError(f"{len(loaders)} data_loaders for the {len(workflow)} items of workflow: one for each.")
    data: dict[str, Any] = {}
    for loader, item in zip(loaders, workflow, strict=True):
        if not isinstance(item, (list, tuple)) or len(item) != 2 or item[0] not in ("train", "val"):
            raise FkitValueError(f"workflow holds {quoted(item)}: a pair of 'train' or 'val' and a count each.")
        if data.setdefault(item[0], loader) is not loader:
            raise FkitValueError(f"workflow has two items {item[0]!r}, and their data_loaders differ: give one loader.")
    return {name: one if isinstance(one, Source) else Fed(one) for name, one in data.items()}


@dataclass(frozen=True, eq=False)
class Fed(Source):
    """Batches of a DataLoader of torch's, or of any iterable that can be gone through again.

    A batch is (inputs, targets), a mapping of arrays (which is all inputs then), or a `fkit.Batch`. What the loader and
    its dataset draw from the generators of the process is seeded by epoch and number, so a shuffled loader gives the same
    batches whenever it is asked: a run that goes on finds them again, and reads those before once more to come there.

    Args:
        loader: what is gone through. Its sampler's ``set_epoch`` is called, where it has one.
    """

    loader: Iterable[Any]

    def __post_init__(self) -> None:
        if isinstance(self.loader, Iterator) or not isinstance(self.loader, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(
                f"a data loader is an iterable that can be gone through again, not {quoted(self.loader)}.",
                repair="Give a DataLoader, a list of batches, or a fkit.Source.",
            )

    @property
    def length(self) -> int | None:
        return len(cast("Any", self.loader)) if hasattr(self.loader, "__len__") else None

    @property
    def ambient(self) -> bool:
        return True

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        told = getattr(getattr(self.loader, "sampler", None), "set_epoch", None)
        if callable(told):
            told(epoch)
        with seeded(key(0, "data", epoch)[0]):
            items = iter(self.loader)
        number = 0
        while True:
            with seeded(key(0, "data", epoch, number)[0]):
                item = next(items, self)
            if item is self:
                return
            if number >= start:
                yield _batch(item)
            number += 1


def _batch(item: Any) -> Batch:
    """What a loader gave, as a batch."""
    if isinstance(item, Batch):
        return item
    if isinstance(item, Mapping):
        return Batch({str(name): _array(value, name) for name, value in cast("Mapping[Any, Any]", item).items()})
    if isinstance(item, (list, tuple)) and len(cast("Sequence[Any]", item)) == 2:
        inputs, targets = cast("Sequence[Any]", item)
        named = targets if isinstance(targets, Mapping) else {"gt_label": targets}
        held = {str(name): _array(value, name) for name, value in cast("Mapping[Any, Any]", named).items()}
        return Batch(_array(inputs, "inputs"), held)
    raise FkitTypeError(
        f"a data loader gave {quoted(item)}.",
        repair="A batch is (inputs, targets), a mapping of arrays, or a fkit.Batch.",
    )


def _array(value: Any, name: Any) -> Any:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise FkitTypeError(f"a batch's {str(name)!r} is {quoted(value)}: an array of numbers is needed.")
    return array


@dataclass(frozen=True, eq=False)
class _Count:
    """What stands for a dataset: how many batches there are."""

    source: Source

    def __len__(self) -> int:
        return self.source.length or 1

    def __getitem__(self, index: int) -> Any:
        raise FkitTypeError("batches that were given have no samples of their own.")


class _Logged(Screen):
    """A screen whose lines go to a logger too."""

    def __init__(self, logger: logging.Logger, results: Any) -> None:
        super().__init__(results=results)
        self._logger = logger

    def say(self, text: str, level: str = "INFO") -> None:
        super().say(text, level)
        self._logger.log(_level(level), text)


def _level(name: str) -> int:
    """The number of a level.

    Example:
        >>> _level("WARNING")
        30
    """
    return logging.getLevelNamesMapping().get(name, logging.INFO)
