"""What a config says of a run, read once: a frozen, typed value of the keys that `fkit.recipe.key` describes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.catalog.report import origin_of
from fkit.config.config import Config
from fkit.config.schema import origin_at, rows, with_value
from fkit.recipe.key import KEYS, LOOPS
from fkit.recipe.load import load_of
from fkit.recipe.log import Log, log_of
from fkit.recipe.part import Part
from fkit.recipe.timing import schedule_notes, schedules_in
from fkit.recipe.vocabulary import is_own_loop, name_of, settle
from fkit.recipe.wrapper import Wrapper, wrappers_of
from fkit.training.fleet import ALONE, Fleet
from fkit.training.load import LoadFrom
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError, quoted
from fkit.tree.path import parse, show

__all__ = ["Environment", "Loop", "Part", "Randomness", "Settings", "line_of", "missing", "read"]

_LOOP_NAMES = LOOPS["train_cfg"]  # by whether it counts epochs
_UNITS = frozendict({True: "epochs", False: "iterations"})


class Loop(NamedTuple):
    """``train_cfg``.

    Attributes:
        part: the loop, by its name, and its arguments.
        by_epoch: whether the run counts epochs, or iterations; None where a loop of the user's own decides.
        limit: how many; None where the config does not say, or a loop of the user's own decides.
    """

    part: Part
    by_epoch: bool | None
    limit: int | None


class Randomness(NamedTuple):
    """``randomness``, but for its seed.

    Attributes:
        deterministic: repeat to the bit on CUDA too.
        masks: dropout's bits: "counter" or "backend".
    """

    deterministic: bool
    masks: str


class Environment(NamedTuple):
    """``env_cfg``.

    Attributes:
        benchmark: let cuDNN time its algorithms.
        start_method: of loader workers: "forkserver" or "spawn".
        cv2_threads: of OpenCV; None leaves them.
        open_files: that may be open at once, at least; None leaves it.
        dist_backend: of several processes: "nccl", "gloo"; None lets the backend choose.
        dist_timeout: seconds after which a process that waits for others fails; None lets it choose.
    """

    benchmark: bool
    start_method: str
    cv2_threads: int | None
    open_files: int | None
    dist_backend: str | None = None
    dist_timeout: float | None = None


@dataclass(frozen=True)
class Settings:
    """A config, read. Parts that are built are configs in it still, with their places, for the errors of a build.

    Attributes:
        tree: the whole in mmengine's vocabulary with every default, the user's own variables among it: to be shown and
            compared; what a run does is in the fields.
        notes: what became of keys that were translated, and which keys change nothing; a sentence each.
        model: None where there is none.
        loaders: "train", "val", "test" -> the dataloader, those that there are.
        evaluators: "val", "test" -> the metrics, those that there are.
        train: how long; None without ``train_cfg``.
        wrappers: the optimizers by name, "main" where there is one; none without ``optim_wrapper``.
        schedules: ``param_scheduler``, in order.
        workflow: pairs of "train" or "val" and a count.
        hooks: the default ones, those of the config's own names after them, then ``custom_hooks``.
        log: what is logged, how, and where to.
        seed: None where none was given.
        threads: of the CPU; None is "auto".
        devices: of this process that share a step; None leaves it to the backend: one, and with ``parallel`` all.
        parallel: how they share it: "pmap"; None where nothing says it.
        scan_steps: that may go into one call, on JAX.
        work_dir: None is work_dirs/NAME_OF_CONFIG.
        load_from: weights to begin with.
        resume: go on with the run of the work folder, or from a checkpoint's path.
        fleet: the processes that run it together.
    """

    tree: Config
    notes: tuple[str, ...]
    model: Part | None
    loaders: Mapping[str, Part]
    evaluators: Mapping[str, Part]
    train: Loop | None
    wrappers: Mapping[str, Wrapper]
    schedules: tuple[Part, ...]
    workflow: tuple[tuple[str, int], ...]
    hooks: tuple[Part, ...]
    log: Log
    seed: int | None
    randomness: Randomness
    environment: Environment
    backend: str
    dtype: str
    device: str | None
    memory_format: str
    compile: bool
    threads: int | None
    devices: int | None
    parallel: str | None
    scan_steps: int
    default_scope: str | None
    custom_imports: Config | None
    load_from: LoadFrom | None
    resume: bool | str
    work_dir: str | None
    fleet: Fleet = ALONE


def read(cfg: Config) -> Settings:
    """The settings of a run, checked, with the defaults of what the config leaves out.

    Raises:
        FkitError: a known key with a letter added, dropped, changed or swapped; a key that its table does not take, or
            one that it lacks; a value of another shape than `fkit.recipe.key` says.

    Example:
        >>> settings = read(Config({"train_cfg": {"max_epochs": 3}, "seed": 7}))
        >>> settings.train.by_epoch, settings.train.limit, settings.seed, settings.dtype
        (True, 3, 7, 'float32')
    """
    tree, notes = settle(cfg)
    seed, train, wrappers = _seed(tree), _loop(tree), wrappers_of(tree)
    parallel, devices = _parallel(tree)
    if seed is not None and tree.get("seed") is None:
        tree = with_value(tree, "seed", seed)
    if train is not None and train.by_epoch is not None:
        tree = with_value(tree, "train_cfg", with_value(tree["train_cfg"], "by_epoch", train.by_epoch))

    def get(name: str) -> Any:
        return tree.get(name)

    return Settings(
        tree, (*notes, *_late(tree, train), *_of_schedules(tree, train)), _part(tree, "model"), _parts(tree, "dataloader"), _parts(tree, "evaluator"), train,
        wrappers, schedules_in(tree), _workflow(tree), _hooks(tree), log_of(tree), seed,
        Randomness(get("randomness.deterministic"), get("randomness.masks")), _environment(tree), get("backend"), get("dtype"), get("device"),
        get("memory_format"), get("compile"),
        None if get("threads") == "auto" else get("threads"), devices, parallel, get("scan_steps"), get("default_scope"), get("custom_imports"), load_of(tree), get("resume"),
        get("work_dir"),
    )  # fmt: skip


def missing(settings: Settings, path: str, why: str) -> FkitError:
    """The error for a key that a call cannot do without.

    Args:
        why: what needs it: "training".
    """
    key = next(key for name, key in rows(KEYS) if name == path)
    found = "which is None" if settings.tree.origin(path) is not None else "which the config does not set"
    return FkitKeyError(
        f"{why} needs {path}, {found}.",
        path=path,
        origin=line_of(settings.tree, path),
        repair=f"{path} is {key.shape.words}: {key.doc}.",
    )


def line_of(tree: Config, path: str) -> str | None:
    """``file:line`` of what stands at a path: of a part, that of its type; where nothing stands there, that of the nearest
    table around it.

    Example:
        >>> line_of(Config({"seed": 3}), "seed") is None
        True
    """
    node = tree.get(path)
    known = origin_of(node) if isinstance(node, Mapping) and "type" in node else None
    return known if known is not None else origin_at(tree, parse(path))


def _seed(tree: Config) -> int | None:
    """One value with ``randomness.seed``."""
    seed, twin = tree.get("seed"), tree.get("randomness.seed")
    if seed is not None and twin is not None and seed != twin:
        raise FkitValueError(
            f"seed = {seed} and randomness.seed = {twin} are one value.",
            path="seed",
            origin=tree.origin("seed"),
            repair="Set one of them.",
        )
    return seed if seed is not None else twin


def _parallel(tree: Config) -> tuple[str | None, int | None]:
    """The way that devices share a step, and how many do."""
    node, count = tree.get("parallel"), tree.get("devices")
    if not isinstance(node, Mapping):
        return node, count
    inner = tree.get("parallel.devices")
    if count is not None and inner is not None and count != inner:
        raise FkitValueError(
            f"devices = {count} and parallel.devices = {inner} are one value.",
            path="devices",
            origin=tree.origin("devices"),
            repair="Set one of them.",
        )
    return tree.get("parallel.type"), count if inner is None else inner


def _loop(tree: Config) -> Loop | None:
    node = tree.get("train_cfg")
    if node is None:
        return None
    kind = node.get("type")
    if is_own_loop(node, "train_cfg"):
        return Loop(Part("train_cfg", node), None, None)
    by_epoch = _by_epoch(tree, node, kind)
    counted, other = ("max_epochs", "max_iters") if by_epoch else ("max_iters", "max_epochs")
    limit = node.get(counted)
    if node.get(other) is not None:
        said = next((key for key in ("by_epoch", "type") if node.get(key) is not None), counted)
        raise FkitValueError(
            f"train_cfg.{other} = {node[other]}, and this run counts {_UNITS[by_epoch]}: train_cfg.{said} = "
            f"{quoted(node[said])} says so" + (f", and {counted} is missing." if limit is None else "."),
            path=f"train_cfg.{other}",
            origin=_childs(tree, f"train_cfg.{other}", f"train_cfg.{said}"),
            repair=f"For {_UNITS[by_epoch]}: {counted}=N, and {other}=None. For {_UNITS[not by_epoch]}: "
            f"type={_LOOP_NAMES[not by_epoch]!r}, {other}=N, and {counted}=None.",
        )
    if limit is not None and limit != int(limit):
        raise FkitValueError(
            f"train_cfg.{counted} = {limit} is not a whole number of at least 1.",
            path=f"train_cfg.{counted}",
            origin=line_of(tree, f"train_cfg.{counted}"),
        )
    for name in node:
        if name == "by_epoch" or node[name] is None:
            node, _ = node.pop(name)
    options = with_value(node, "type", _LOOP_NAMES[by_epoch])
    return Loop(Part("train_cfg", options), by_epoch, None if limit is None else int(limit))


def _childs(tree: Config, *paths: str) -> str | None:
    """The line of the first of several keys; before it, that of one that the config's own file sets, and none of its
    bases."""
    lines = [line for path in paths if (line := line_of(tree, path)) is not None]
    nearest = (line for line in lines if tree.filename is not None and line.startswith(f"{tree.filename}:"))
    return next(nearest, lines[0] if lines else None)


def _late(tree: Config, loop: Loop | None) -> tuple[str, ...]:
    """What a reader should know of validation that a run is too short for."""
    if loop is None or loop.limit is None or tree.get("val_dataloader") is None:
        return ()
    run = f"the run's {loop.limit} {_UNITS[bool(loop.by_epoch)]}"
    begin, interval = (loop.part.node.get(name) or 1 for name in ("val_begin", "val_interval"))
    if begin > loop.limit:
        return (f"train_cfg.val_begin = {begin} is beyond {run}: nothing is validated.",)
    if interval > loop.limit and not loop.part.node.get("dynamic_intervals"):
        return (f"train_cfg.val_interval = {interval} is beyond {run}: validated once, at the end.",)
    return ()


def _of_schedules(tree: Config, loop: Loop | None) -> tuple[str, ...]:
    return () if loop is None else schedule_notes(tree, loop.by_epoch is not False)


def _by_epoch(tree: Config, node: Config, kind: Any) -> bool:
    """Whether a run counts epochs: as `by_epoch` says, or the loop's name, or else the number that is there."""
    said, named = node.get("by_epoch"), None if kind is None else bool(_LOOP_NAMES.index(name_of(kind)))
    if said is not None and named is not None and said != named:
        raise FkitValueError(
            f"train_cfg.by_epoch = {said}, and train_cfg.type = {quoted(kind)} counts {_UNITS[named]}.",
            path="train_cfg.by_epoch",
            origin=line_of(tree, "train_cfg.by_epoch"),
            repair=f"Leave one of them out; for {_UNITS[said]} the type is {_LOOP_NAMES[said]!r}.",
        )
    if said is not None or named is not None:
        return bool(named if said is None else said)
    return node.get("max_epochs") is not None or node.get("max_iters") is None


def _environment(tree: Config) -> Environment:
    method = tree.get("env_cfg.mp_cfg.mp_start_method")
    return Environment(
        tree["env_cfg"]["cudnn_benchmark"],
        "spawn" if method == "spawn" else "forkserver",
        tree.get("env_cfg.mp_cfg.opencv_num_threads"),
        tree.get("env_cfg.resource_limit"),
        tree.get("env_cfg.dist_cfg.backend"),
        _timeout(tree),
    )


def _timeout(tree: Config) -> float | None:
    seconds: Any = tree.get("env_cfg.dist_cfg.timeout")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0):
        path = "env_cfg.dist_cfg.timeout"
        what = f"{path} = {quoted(seconds)}: seconds, a number above 0."
        raise FkitValueError(what, path=path, origin=tree.origin(path))
    return seconds


def _workflow(tree: Config) -> tuple[tuple[str, int], ...]:
    workflow = tuple((str(mode), int(count)) for mode, count in tree["workflow"])
    if not any(mode == "train" for mode, _ in workflow):
        raise FkitValueError(
            f"workflow = {quoted(tree['workflow'])} never trains.",
            path="workflow",
            origin=tree.origin("workflow"),
            repair="Let one of its items be ('train', 1), say.",
        )
    return workflow


def _part(tree: Config, path: str) -> Part | None:
    node = tree.get(path)
    return None if node is None else Part(path, node)


def _parts(tree: Config, kind: str) -> Mapping[str, Part]:
    """ "train", "val", "test" -> the part KEY_kind, those that there are."""
    parts = {name: _part(tree, f"{name}_{kind}") for name in ("train", "val", "test")}
    return frozendict({name: part for name, part in parts.items() if part is not None})


def _hooks(tree: Config) -> tuple[Part, ...]:
    """Names of custom hooks are their places, which name their memory in a checkpoint."""
    default = [Part(show(("default_hooks", name)), node, name) for name, node in tree["default_hooks"].items()]
    custom = [
        Part(f"custom_hooks[{index}]", node, f"custom_hooks.{index}") for index, node in enumerate(tree["custom_hooks"])
    ]
    return tuple(part for part in (*default, *custom) if part.node is not None)
