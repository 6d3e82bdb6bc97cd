"""A plan: all that a config says of a run, as one frozen value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from frozendict import frozendict

from fkit.array.room import open as open_room
from fkit.catalog.build import build
from fkit.catalog.builtin import registry as builtin_registry
from fkit.catalog.plugin import include_custom
from fkit.catalog.registry import Registry
from fkit.catalog.report import locate, place, placed
from fkit.config.config import Config
from fkit.data.source import Source, open_loader
from fkit.run.course import Course
from fkit.run.hook.hook import Handler, Hook, Offer, handlers, priority_number
from fkit.run.hook.log import RecordHook
from fkit.run.hook.timer import ProgressHook
from fkit.run.hook.validation import ValidationHook
from fkit.run.settings import refuse, settle_with_notes
from fkit.training.backend import Backend
from fkit.training.evaluator import Evaluator
from fkit.training.optimizer import Optimizer
from fkit.training.program import Program
from fkit.training.schedule import Schedule
from fkit.training.spec import Spec
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["Plan", "open_data", "open_evaluator", "open_source", "plan", "program", "registry_of"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What a run does.

    Attributes:
        config: as its author wrote it.
        settings: the same in mmengine's vocabulary, with defaults.
        notes: what became of keys that were translated, a sentence each.
        registry: where parts come from.
        backend: the room's name; ``room`` is the room.
        program: the pure functions.
        hooks: (name, hook) in firing order.
        handlers: event -> ((hook name, handler), ...).
        course: how it goes through its data.
        evaluator: of validation, None without ``val_evaluator``.
        seed: of the order and augmentation of data.
    """

    config: Config
    settings: Config
    notes: tuple[str, ...]
    registry: Registry
    backend: str
    room: Backend
    program: Program
    hooks: tuple[tuple[str, Hook], ...]
    handlers: Mapping[str, tuple[tuple[str, Handler], ...]]
    course: Course
    evaluator: Evaluator | None
    seed: int


def program(
    cfg: Config,
    registry: Registry | None = None,
    *,
    backend: str | None = None,
    donate: bool = True,
    example: Any = None,
    allow: str | Iterable[str] = (),
) -> Program:
    """The pure functions of a config's model and optimizer on a backend.

    Args:
        cfg: with ``model``, and ``optim_wrapper`` to train.
        registry: by default the built-in one.
        backend: "torch" or "jax"; by default the config's ``backend``.
        donate: False leaves each state that a step is given as it was.
        example: one batch of inputs, (N, C, H, W), for backends that learn shapes by tracing; by default the first of
            the config's data.
        allow: modules that the config may import and name: see `fkit.catalog.allow`.

    Raises:
        FkitError: a key is unknown, a part is missing, or has no twin on the backend.
    """
    settings, _ = settle_with_notes(cfg)
    reg = registry_of(settings, registry, allow)
    name = backend or str(settings["backend"])
    return open_room(name).program(_spec(settings, reg, donate, example))


def plan(
    cfg: Config,
    registry: Registry | None = None,
    *,
    backend: str | None = None,
    donate: bool = True,
    allow: str | Iterable[str] = (),
) -> Plan:
    """All that a config says of a training run, checked: program, hooks, loop, schedules, evaluator.

    Args: as those of `program`.

    Raises:
        FkitError: as `program`; and where ``train_cfg``, ``train_dataloader`` or ``seed`` is missing.
    """
    settings, notes = settle_with_notes(cfg)
    _refuse_unsupported(settings)
    if settings.get("train_dataloader") is None:
        raise FkitKeyError(
            "training needs train_dataloader.", repair="Set train_dataloader=dict(dataset=dict(type=...))."
        )
    reg = registry_of(settings, registry, allow)
    name = backend or str(settings["backend"])
    if settings.get("seed") is None:
        raise FkitValueError(
            "seed is None.", repair="Give one: cfg.merge({'seed': 0}); `fkit train` draws and records one."
        )
    functions = open_room(name).program(_spec(settings, reg, donate, None))
    course = _course(settings)
    hooks = _hooks(settings, reg, name, course, functions)
    for _, hook in hooks:
        functions = hook.wrap(functions)
    return Plan(
        cfg, settings, notes, reg, name, open_room(name), functions, hooks, handlers(hooks), course,
        _evaluator(settings, reg, "val_evaluator"), int(settings["seed"]),
    )  # fmt: skip


def open_data(plan: Plan, *parts: str) -> Mapping[str, Source]:
    """The config's sources: {"train": ..., "val": ..., "test": ...}, those that it has.

    Args:
        parts: which; by default "train" and "val".
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    sources: dict[str, Source] = {}
    for part in parts or ("train", "val"):
        node = plan.settings.get(f"{part}_dataloader")
        if node is not None:
            sources[part] = _loader(plan.settings, plan.registry, f"{part}_dataloader", plan.seed)
    return frozen(sources)


def open_source(cfg: Config, registry: Registry | None, part: str, **changes: Any) -> Source:
    """One of the config's sources, with no plan around it.

    Args:
        part: "train", "val" or "test".
        changes: keys of the dataloader to change.

    Raises:
        FkitKeyError: the config has no such dataloader.
    """
    settings, _ = settle_with_notes(cfg)
    name = f"{part}_dataloader"
    if settings.get(name) is None:
        raise FkitKeyError(f"the config has no {name}.", value=name, choices=tuple(settings), label="Keys")
    return _loader(settings, registry_of(settings, registry), name, int(settings.get("seed") or 0), **changes)


def open_evaluator(cfg: Config, registry: Registry | None, part: str) -> Evaluator | None:
    """The config's evaluator for a part, with no plan around it; None where it has none."""
    settings, _ = settle_with_notes(cfg)
    return _evaluator(settings, registry_of(settings, registry), f"{part}_evaluator")


_LOADER_PARTS = frozendict(datasets="dataset", data_samplers="sampler", functions="collate_fn")  # kind -> key


def _loader(settings: Config, reg: Registry, name: str, seed: int, **changes: Any) -> Source:
    scope = settings.get("default_scope")

    def make(kind: str, node: Any) -> Any:
        return build(node, reg, kind, scope=scope, path=f"{name}.{_LOADER_PARTS[kind]}")

    node = {**settings[name], **changes}
    spread = open_room("torch").workers if node.get("num_workers") else None  # torch's serve either backend
    return open_loader(node, build=make, seed=seed, path=name, spread=spread)


def registry_of(cfg: Config, registry: Registry | None = None, allow: str | Iterable[str] = ()) -> Registry:
    """The registry that a config sees: the one given (by default the built-in), and what its ``custom_imports`` offer."""
    if registry is not None:
        expect(registry, Registry, "`registry` is a registry (fkit.registry() is the built-in one)")
    reg = registry if registry is not None else builtin_registry()
    reg, scope = include_custom(reg, cfg.get("custom_imports"), allow), cfg.get("default_scope")
    try:
        reg.start(scope)
    except FkitKeyError as error:
        origin = cfg.origin("default_scope")
        raise placed(error, f"default_scope = {scope!r}: ", "default_scope", origin) from None
    return reg


def _spec(settings: Config, reg: Registry, donate: bool, example: Any) -> Spec:
    if settings.get("model") is None:
        raise FkitKeyError("the config has no model.", value="model", choices=tuple(settings), label="Keys")
    for path in ("data_preprocessor",):
        if settings.get(path) is not None:
            raise refuse(settings, path, "is not supported yet; normalise in the pipeline.")
    node, scope = settings["model"], settings.get("default_scope")

    def model(name: str) -> Any:
        return build(node, reg, "models", backend=name, scope=scope, path="model")

    def first() -> Any:
        if example is not None:
            return example
        for part in ("train_dataloader", "val_dataloader", "test_dataloader"):
            if settings.get(part) is not None:
                source = _loader(settings, reg, part, 0, num_workers=0, batch_size=1, persistent_workers=False)
                return next(iter(source.batches(0, 0))).inputs
        raise FkitValueError(
            "this backend learns the model's shapes from an example, and the config has no data to take one from.",
            repair="Give fkit.program(..., example=inputs), or a train_dataloader.",
        )

    masks = settings.get("randomness.masks") or "counter"
    if masks not in ("counter", "backend"):
        raise FkitValueError(
            f"randomness.masks = {masks!r} is unknown.", value=str(masks), choices=("counter", "backend")
        )
    return Spec(
        model, frozen(_optimizers(settings)), dtype=str(settings["dtype"]), device=settings.get("device"), donate=donate,
        compile=bool(settings["compile"]), masks=masks, example=first,
    )  # fmt: skip


def _optimizers(settings: Config) -> dict[str, Optimizer]:
    wrapper = settings.get("optim_wrapper")
    if wrapper is None:
        return {}
    for key in ("paramwise_cfg", "constructor", "clip_grad", "loss_scale", "dtype", "use_fsdp"):
        if wrapper.get(key) is not None:
            raise refuse(settings, f"optim_wrapper.{key}", "is not supported yet.")
    if wrapper.get("accumulative_counts", 1) != 1:
        raise refuse(settings, "optim_wrapper.accumulative_counts", "is not supported yet.")
    if wrapper.get("type", "OptimWrapper") != "OptimWrapper":
        raise refuse(settings, "optim_wrapper.type", "is not supported yet; there is OptimWrapper.")
    node = wrapper.get("optimizer")
    if not isinstance(node, Mapping) or node.get("type") is None:
        raise FkitKeyError("optim_wrapper needs optimizer=dict(type=...).", origin=settings.origin("optim_wrapper"))
    options = {name: value for name, value in node.items() if name != "type"}
    try:
        return {"main": Optimizer.of(_optimizer_name(node["type"]), options, wrapper.get("param_groups") or ())}
    except FkitTypeError as cause:
        raise FkitTypeError(
            f"optim_wrapper.optimizer: {cause.what}", origin=settings.origin("optim_wrapper.optimizer.type"),
            value=cause.value, choices=cause.choices, label=cause.label, repair=cause.repair,
        ) from cause  # fmt: skip


def _optimizer_name(kind: Any) -> str:
    """``torch.optim.AdamW``, as a path or as the class, is AdamW."""
    name = getattr(kind, "__name__", None) or str(kind)
    return name.rpartition(".")[2] if name.startswith("torch.optim.") else name


def _course(settings: Config) -> Course:
    node = settings.get("train_cfg")
    if node is None:
        raise FkitKeyError("training needs train_cfg.", repair="Set train_cfg=dict(by_epoch=True, max_epochs=...).")
    kind = node.get("type")
    if kind not in (None, "EpochBasedTrainLoop", "IterBasedTrainLoop"):
        raise refuse(settings, "train_cfg.type", "is unknown: EpochBasedTrainLoop or IterBasedTrainLoop.")
    by_epoch = bool(node.get("by_epoch", kind == "EpochBasedTrainLoop" if kind else "max_epochs" in node))
    name = "max_epochs" if by_epoch else "max_iters"
    limit = node.get(name)
    if not isinstance(limit, int) or limit < 1:
        raise FkitValueError(f"train_cfg.{name} = {limit!r}: at least 1.", origin=settings.origin(f"train_cfg.{name}"))
    workflow = tuple(settings["workflow"])
    if not workflow or not all(_is_phase(phase) for phase in workflow) or workflow[0][0] != "train":
        raise FkitValueError(
            f"workflow = {settings['workflow']!r}: pairs of 'train' or 'val' and a count of at least 1, train first.",
            origin=settings.origin("workflow"),
        )
    return Course(by_epoch, limit, tuple((mode, count) for mode, count in workflow))


def _is_phase(phase: Any) -> bool:
    """Whether it is ('train' or 'val', a count of at least 1)."""
    if not isinstance(phase, (list, tuple)) or len(phase) != 2:
        return False
    mode, count = phase
    return mode in ("train", "val") and type(count) is int and count >= 1


def _schedules(settings: Config, reg: Registry, course: Course) -> tuple[Schedule, ...]:
    node = settings.get("param_scheduler")
    if node is None:
        return ()
    several = isinstance(node, (list, tuple))
    nodes: tuple[Config, ...] = tuple(cast("list[Config]", node)) if several else (node,)
    by_step = any(not n.get("by_epoch", True) or n.get("convert_to_iter_based") for n in nodes)
    length = _loader(settings, reg, "train_dataloader", 0).length or 0 if by_step and course.by_epoch else 0
    schedules: list[Schedule] = []
    for index, policy in enumerate(nodes):
        options, convert = policy.pop("convert_to_iter_based", False)
        for ignored in ("verbose", "last_step"):
            options, _ = options.pop(ignored, None)
        by_epoch = options.get("by_epoch", True)
        epochs = course.limit if course.by_epoch else 1
        schedule = build(
            options, reg, "param_schedulers", defaults={"end": epochs if by_epoch else course.total(length)},
            scope=settings.get("default_scope"), path=f"param_scheduler[{index}]" if several else "param_scheduler",
        )  # fmt: skip
        schedules.append(schedule.in_iterations(length) if convert else schedule)
    return tuple(schedules)


def _hooks(
    settings: Config, reg: Registry, backend: str, course: Course, functions: Program
) -> tuple[tuple[str, Hook], ...]:
    """Default hooks, then custom ones, in firing order: by priority, ties as they stand."""
    rows: list[tuple[int, str, Hook]] = []
    offer = Offer(course, functions.hyperparams, lambda: _schedules(settings, reg, course))

    def add(name: str, hook: Hook, priority: str | int | None = None) -> None:
        rows.append((priority_number(hook.priority if priority is None else priority), name, hook))

    def make(name: str, path: str, node: Config) -> None:
        options, priority = node.pop("priority", None)
        hook = build(options, reg, "hooks", backend=backend, scope=settings.get("default_scope"), path=path)
        expect(hook, Hook, f"{path} is a hook (derive it from fkit.Hook)")
        add(name, hook.bind(offer), priority)

    for name, node in settings["default_hooks"].items():
        if node is not None:
            make(name, f"default_hooks.{name}", node)
    if settings.get("val_dataloader") is not None and settings.get("val_evaluator") is not None:
        node = settings["train_cfg"]
        add("validation", ValidationHook(node.get("val_interval", 1), node.get("val_begin", 1), course.by_epoch))
    add("progress", ProgressHook())
    add("record", RecordHook())
    for index, node in enumerate(settings["custom_hooks"]):
        make(f"custom_hooks.{index}", f"custom_hooks[{index}]", node)
    return tuple((name, hook) for _, name, hook in sorted(rows, key=lambda row: row[0]))


def _evaluator(settings: Config, reg: Registry, name: str) -> Evaluator | None:
    node = settings.get(name)
    if node is None:
        return None
    scope = settings.get("default_scope")
    return Evaluator.of(node, build=lambda kind, cfg: build(cfg, reg, kind, scope=scope, path=_place(name, node, cfg)))


def _place(name: str, whole: Any, part: Any) -> str:
    """Where a part stands in the config: at the key ``name``, or below it."""
    return name if part is whole else place(name, locate(whole, part))


def _refuse_unsupported(settings: Config) -> None:
    """Keys whose work comes with a later version: named, never dropped."""
    for path in ("strategy", "model_wrapper_cfg", "sync_bn", "tta_model", "tta_pipeline", "parallel", "runner_type"):
        if settings.get(path) is not None:
            raise refuse(settings, path, "is not supported yet.")
    if settings.get("auto_scale_lr.enable"):
        raise refuse(settings, "auto_scale_lr.enable", "is not supported yet.")
    if settings["launcher"] != "none":
        raise refuse(settings, "launcher", "is not supported yet: one process.")
    if settings.get("train_cfg.dynamic_intervals") is not None:
        raise refuse(settings, "train_cfg.dynamic_intervals", "is not supported yet.")
