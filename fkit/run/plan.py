"""A plan: all that a config says of a run, as one frozen value."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fkit.array.room import open as open_room
from fkit.catalog.registry import Registry
from fkit.catalog.report import is_reported, placed
from fkit.config.config import Config
from fkit.config.schema import check, choice
from fkit.data.source import Source
from fkit.metric.evaluator import Evaluator
from fkit.recipe.inference import example_of
from fkit.recipe.part import Part
from fkit.recipe.settings import Settings, line_of, missing, read
from fkit.recipe.source import build_part, evaluator_of, registry_of, said_at, source_of
from fkit.recipe.spec import spec_of
from fkit.recipe.tta import augmented, merge_of
from fkit.recipe.vocabulary import name_of
from fkit.run.course import Course
from fkit.run.hook.hook import Handler, Hook, ask, handlers
from fkit.run.lineup import hooks_of, wrapping
from fkit.run.remark import remark
from fkit.run.runner import runner_of
from fkit.run.scoring import Scoring
from fkit.run.share import shared
from fkit.structures.views import several_of
from fkit.training.backend import Backend
from fkit.training.fleet import ALONE, Fleet
from fkit.training.group import remarks
from fkit.training.phase import origins, parts_of
from fkit.training.program import Program
from fkit.training.spec import Spec
from fkit.training.state import Hyperparams
from fkit.training.tta import with_tta
from fkit.tree.check import expect
from fkit.tree.contract import Contract, expect_contract
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["Plan", "course_of", "held_out", "open_data", "plan", "program", "served"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What a run does.

    Attributes:
        config: as its author wrote it.
        settings: what it says, read once.
        registry: where parts come from.
        backend: the room's name; ``room`` is the room.
        program: the pure functions.
        hooks: (name, hook) in firing order.
        handlers: event -> ((hook name, handler), ...).
        course: how it goes through its data.
        evaluator: of validation, None without ``val_evaluator``; of a plan of a test, the test's.
        seed: of the order and augmentation of data.
        writers: (place in the config, description) of what gets scalars and pictures beside the work folder.
        part: what it is a plan of: "train", "val" or "test".
        scoring: how held-out data are predicted.
        runner: what folds events over the run: (plan, run, data, inbox) -> items, as `fkit.train`; None: `fkit.run.loop.standard`.
    """

    config: Config
    settings: Settings
    registry: Registry
    backend: str
    room: Backend
    program: Program
    hooks: tuple[tuple[str, Hook], ...]
    handlers: Mapping[str, tuple[tuple[str, Handler], ...]]
    course: Course
    evaluator: Evaluator | None
    seed: int
    writers: tuple[tuple[str, Any], ...] = ()
    part: str = "train"
    scoring: Scoring = Scoring()  # noqa: RUF009  frozen
    runner: Callable[..., Any] | None = None

    @property
    def fleet(self) -> Fleet:
        """The processes that run it together."""
        return self.settings.fleet


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
        example: one batch of inputs, (N, C, H, W), or a function that makes one, for backends that learn shapes by tracing; by
            default the first of the config's data.
        allow: modules that the config may import and name: see `fkit.catalog.allow`.

    Raises:
        FkitError: a key is unknown, a part is missing, or has no twin on the backend.
    """
    settings = read(cfg)
    reg = registry_of(settings, registry, allow)
    room = _room(settings.backend if backend is None else backend, settings)
    settings = shared(room, settings, trains=False)
    return _program(room, spec_of(settings, reg, donate, example), settings)


def plan(
    cfg: Config,
    registry: Registry | None = None,
    *,
    backend: str | None = None,
    donate: bool = True,
    allow: str | Iterable[str] = (),
    part: str = "train",
    tta: bool = False,
    fleet: Fleet = ALONE,
) -> Plan:
    """All that a config says of a run, checked: program, hooks, loop, schedules, evaluator.

    Args:
        part: "train"; or "val" or "test", for `fkit.validate` and `fkit.test`: the config need not say how to train then.
        tta: test-time augmentation: the held-out data are read by ``tta_pipeline``, and what is predicted of an image's views is
            merged by ``tta_model``.
        fleet: the processes that run it together; each makes the same plan.
        cfg, registry, backend, donate, allow: as those of `program`.

    Raises:
        FkitError: as `program`; and where ``train_cfg``, ``train_dataloader`` or ``seed`` is missing, or, of another part,
            its dataloader or evaluator.
    """
    check(part, choice("train", "val", "test"), lead="plan(cfg, part=...): ")
    expect(tta, bool, "plan(cfg, tta=...) is True or False")
    if tta and part == "train":
        raise FkitValueError("plan(cfg, tta=True): test-time augmentation is of part='test' or 'val'.")
    expect(fleet, Fleet, "plan(cfg, fleet=...) is a fleet (fkit.edge.launch joins one)")
    settings = replace(read(cfg), fleet=fleet)
    if part == "train":
        _check_training(settings)
    else:
        whose = held_out(settings, part, "dataloader")
        settings = augmented(settings, whose) if tta else settings
    reg = registry_of(settings, registry, allow)
    name = settings.backend if backend is None else backend
    room, course, trains = _room(name, settings), course_of(settings, reg, part), part == "train"
    settings = shared(room, settings, trains)
    total = _total(settings, reg, course) if trains else None
    spec = spec_of(settings, reg, donate, None, total, "test" if part == "test" else "val", trains)
    functions = _program(room, spec, settings)
    hooks = hooks_of(settings, reg, name, course, partial(_started, functions), room.host, part)
    functions = _wrapped(functions, hooks, settings)
    if tta:
        functions = with_tta(functions, several_of, merge_of(settings, reg, name))
    evaluator = evaluator_of(settings, reg, "val" if part == "train" else held_out(settings, part, "evaluator"))
    noted = replace(settings, notes=(*settings.notes, *remarks(functions), *remark(settings, functions)))
    return Plan(
        cfg, noted, reg, name, room, functions, hooks, handlers(hooks), course, evaluator, settings.seed or 0,
        _writers(settings, reg), part, _scoring(settings, reg, part),
        runner_of(settings, reg),
    )  # fmt: skip


def served(
    cfg: Config, registry: Registry | None = None, *, backend: str | None = None, allow: str | Iterable[str] = ()
) -> Program:
    """The program of a config as its run validates with it: `program`, in what its hooks wrap it in.

    Args, Raises: as `program`; and where a hook cannot be built.
    """
    settings = read(cfg)
    reg = registry_of(settings, registry, allow)
    functions = program(cfg, reg, backend=backend, example=partial(example_of, settings, reg))
    return _wrapped(functions, wrapping(settings, reg, functions.backend), settings)


def open_data(plan: Plan, *parts: str) -> Mapping[str, Source]:
    """The config's sources: {"train": ..., "val": ..., "test": ...}, those that it has.

    Args:
        parts: which; by default "train" and "val", and of a plan of a test "test": validation's, where there is no other.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    for part in parts:
        check(part, choice("train", "val", "test"), lead="open_data(plan, part): ")
    chosen = {part: part for part in parts or ("train", "val") if part in plan.settings.loaders}
    if plan.part != "train" and not parts:
        chosen = {plan.part: held_out(plan.settings, plan.part, "dataloader")}
    data = {name: source_of(plan.settings, plan.registry, part, plan.seed) for name, part in chosen.items()}
    if "train" in chosen:
        data |= _others(plan)
    return frozen(data)


def _others(plan: Plan) -> dict[str, Source]:
    """The other training data that hooks switch to."""
    data: dict[str, Source] = {}
    places = {part.name: part.path for part in plan.settings.hooks}
    for owner, hook in plan.hooks:
        for name, changes in ask(owner, "sources", hook.sources).items():
            if name in data or not str(name).startswith("train:"):
                raise FkitValueError(
                    f"hook {owner!r}: a source of training data has a name of its own, as 'train:9', not {name!r}."
                )
            try:
                data[name] = source_of(plan.settings, plan.registry, "train", plan.seed, **changes)
            except FkitError as error:
                raise said_at(error, places.get(owner, ""), plan.settings) from error.__cause__
    return data


def held_out(settings: Settings, part: str, kind: str) -> str:
    """Whose dataloader or evaluator is taken for "val" or "test": its own, or val's where the config does not speak of
    test's.

    Args:
        kind: "dataloader" or "evaluator".

    Raises:
        FkitError: it has neither, or says that there is none.
    """
    parts, name = settings.loaders if kind == "dataloader" else settings.evaluators, f"{part}_{kind}"
    if part in parts:
        return part
    if part == "test" and name in settings.tree:
        raise FkitValueError(
            f"{name} = None: this config says that there is nothing to test.",
            path=name,
            origin=settings.tree.origin(name),
            repair=f"Set it, to val_{kind} say; where the key is left out, that one is taken.",
        )
    if part == "val" or "val" not in parts:
        raise missing(settings, name, "a test" if part == "test" else "validation")
    return "val"


_WRITER = Contract(
    "writer",
    (("open", "folder, name"),),
    """
that gives a Writer. For example, one that prints:
    @dataclass(frozen=True)
    class Printed:
        def open(self, folder, name):
            return fkit.edge.writer.Writer(scalars=lambda tags, step: print(step, dict(tags)))""",
)


def _writers(settings: Settings, registry: Registry) -> tuple[tuple[str, Any], ...]:
    """What ``vis_backends`` describes; nothing is opened."""
    drawn = settings.log.visualizer
    if drawn is not None and registry.look("visualizers", str(drawn.node["type"]), settings.default_scope) is None:
        build_part(drawn, settings, registry, "visualizers")  # says which there are
    writers = tuple((part.path, build_part(part, settings, registry, "vis_backends")) for part in settings.log.writers)
    for path, writer in writers:
        try:
            expect_contract(writer, _WRITER)
        except FkitError as error:
            raise said_at(error, path, settings) from error
    return writers


def _started(functions: Program) -> Hyperparams:
    """What schedules count from: the hyperparameters, and what a group says that its were before any."""
    return frozen({**functions.hyperparams(), **origins(parts_of(functions.spec, functions.inventory))})


def _wrapped(functions: Program, hooks: Iterable[tuple[str, Hook]], settings: Settings) -> Program:
    """The program in what each hook wraps it in, in firing order."""
    places = {part.name: part.path for part in settings.hooks}
    for name, hook in hooks:
        try:
            functions = ask(name, "wrap", hook.wrap, functions)
            expect(functions, Program, f"what hook {name!r} gives in wrap is a program")
        except FkitError as error:
            raise said_at(error, places.get(name, ""), settings) from error.__cause__
    return functions


def _room(name: str, settings: Settings) -> Backend:
    try:
        return open_room(name)
    except FkitError as error:
        raise placed(error, "", "backend", settings.tree.origin("backend")) from error.__cause__


def _keys(settings: Settings) -> Mapping[str, str]:
    """What a spec is made of -> keys of the config."""
    wrappers = settings.wrappers
    at = "optim_wrapper.optimizer" if len(wrappers) < 2 else "optim_wrapper"
    dtype = next((f"{one.path}.dtype" for one in wrappers.values() if one.dtype is not None), "dtype")
    patterns = {f"phases.{name}.params": f"{one.path}.params" for name, one in wrappers.items()}
    return {"model": "model", "device": "device", "optimizers": at, "dtype": dtype, **patterns}


def _program(room: Backend, spec: Spec, settings: Settings) -> Program:
    """The room's program; what it refuses of a field of the spec is said of the key that the field comes from."""
    try:
        return room.program(spec)
    except FkitError as error:
        inside = error.path.startswith(("paramwise_cfg", "constructor"))
        owners = (one.path for one in settings.wrappers.values() if one.paramwise or one.constructor is not None)
        owner = next(owners, "optim_wrapper")
        path = f"{owner}.{error.path}" if inside else _keys(settings).get(error.path)
        if path is None or is_reported(error):
            raise
        lead = f"{owner}." if error.what.startswith("paramwise_cfg") else f"{path}: "
        raise placed(error, lead, path, line_of(settings.tree, path)) from error


def _check_training(settings: Settings) -> None:
    """Refuse a config that lacks what a training run is made of."""
    for path in ("train_cfg", "train_dataloader", "optim_wrapper"):
        if settings.tree.get(path) is None:
            raise missing(settings, path, "training")
    if settings.seed is None:
        raise FkitValueError(
            "seed is None.", path="seed", repair="Give one: cfg.merge({'seed': 0}); `fkit train` draws and records one."
        )
    _check_validation(settings)


def _check_validation(settings: Settings) -> None:
    """Refuse data to validate on with nothing that scores them, and the reverse: validation would be left out in silence.

    Losses on validation data (``workflow``) need no evaluator.

    Raises:
        FkitKeyError: one of the two is missing.
    """
    there = {"val_dataloader": "val" in settings.loaders, "val_evaluator": "val" in settings.evaluators}
    losses = any(mode == "val" for mode, _ in settings.workflow)
    lacking = next((key for key, known in there.items() if not known), None)
    if lacking is None or not any(there.values()) or (losses and lacking == "val_evaluator"):
        return
    present = next(key for key in there if key != lacking)
    raise FkitKeyError(
        f"{present} is set and {lacking} is not: validation needs both.",
        path=lacking,
        origin=line_of(settings.tree, lacking if lacking in settings.tree else present),
        repair=f"Set {lacking}; or {present}=None for a run that is not validated.",
    )


def _total(settings: Settings, registry: Registry, course: Course) -> int | None:
    """Steps of the whole run, for gradients that are accumulated to its end; None where nothing asks for them."""
    if all(one.accumulative_counts == 1 for one in settings.wrappers.values()) or not course.limit:
        return None
    length = (source_of(settings, registry, "train", 0).length or 0) if course.by_epoch else 0
    return course.total(length) or None


def course_of(settings: Settings, registry: Registry, part: str) -> Course:
    loop = settings.train
    if part != "train":
        return Course(True, 0)
    if loop is None or (loop.by_epoch is not None and loop.limit is None):
        counted = "max_epochs" if loop is None or loop.by_epoch else "max_iters"
        raise missing(settings, f"train_cfg.{counted}", "training")
    course = build_part(loop.part, settings, registry, "loops")
    _expect_made(course, Course, "train_cfg", settings, "fkit.run.course.Course shows one of one's own")
    if settings.workflow != (("train", 1),):
        course = replace(course, workflow=settings.workflow)
    scored = "val" in settings.loaders and "val" in settings.evaluators and not _by_hook(settings)
    return course if scored or course.validation is None else replace(course, validation=None)


def _by_hook(settings: Settings) -> bool:
    """Whether a hook of mmcv's says when the run validates."""
    return any(name_of(part.node.get("type")) in ("EvalHook", "DistEvalHook") for part in settings.hooks)


def _scoring(settings: Settings, registry: Registry, part: str) -> Scoring:
    """How the plan's held-out data are predicted."""
    path = "test_cfg" if part == "test" else "val_cfg"
    node = settings.tree.get(path)
    if node is None or node.get("type") is None:
        return Scoring()
    scoring = build_part(Part(path, node), settings, registry, "loops")
    _expect_made(scoring, Scoring, path, settings, "fkit.run.scoring.Scoring shows one of one's own")
    return scoring


def _expect_made(value: Any, kind: type, path: str, settings: Settings, repair: str) -> None:
    if not isinstance(value, kind):
        what = f"{path}: the loop {name_of(settings.tree[path]['type'])} is {quoted(value)}, no {kind.__name__}."
        raise FkitTypeError(what, path=path, origin=line_of(settings.tree, path), repair=f"{repair}.")
