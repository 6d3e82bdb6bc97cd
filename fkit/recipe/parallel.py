"""How a step is shared by processes, read: ``parallel``, ``model_wrapper_cfg``, ``strategy``, ``sync_bn`` and
``find_unused_parameters``."""

from collections.abc import Mapping
from typing import Any

from frozendict import frozendict

from fkit.config.config import Config
from fkit.recipe.vocabulary import name_of
from fkit.training.fleet import Parallel
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitError, FkitValueError, quoted

__all__ = ["parallel_of"]

_WRAPPERS = frozendict(
    DataParallel="ddp", DistributedDataParallel="ddp", MMDistributedDataParallel="ddp",
    MMSeparateDistributedDataParallel="ddp", MMFullyShardedDataParallel="fsdp", FullyShardedDataParallel="fsdp",
)  # fmt: skip
_STRATEGIES = frozendict(SingleDeviceStrategy="ddp", DDPStrategy="ddp", FSDPStrategy="fsdp")
_OPTIONS = frozendict(
    ddp=("bucket_cap_mb", "find_unused_parameters", "gradient_as_bucket_view", "static_graph"),
    fsdp=("reshard_after_forward", "wrap", "auto_wrap_policy"),
)
# of torch.distributed.fsdp.wrap: what may be said of each, and what that is here
_POLICIES = frozendict(
    size_based_auto_wrap_policy=("min_num_params", "least"),
    transformer_auto_wrap_policy=("transformer_layer_cls", "wrap"),
    ModuleWrapPolicy=("module_classes", "wrap"),
)
_LEAST = 1e8  # torch's default
# of no effect here: buffers are rank 0's in all processes after each step; FSDP2 has one way where the first one had several
_PASSED = frozendict(
    ddp=("broadcast_buffers", "check_reduction", "detect_anomalous_params", "dim"),
    fsdp=("backward_prefetch", "forward_prefetch", "limit_all_gathers", "sync_module_states", "use_orig_params"),
)
_OF_STRATEGY = ("model_wrapper", "sync_bn", "activation_checkpointing", "skip_init_weight", "state_dict_cfg")


def parallel_of(tree: Config) -> Parallel:
    """How a settled config has a step shared by processes: it is read for any number of them, and is of no effect for one.

    Raises:
        FkitValueError: a wrapper, a strategy or an option that there is not, or two keys that exclude one another.

    Example:
        >>> parallel_of(Config({"model_wrapper_cfg": {"type": "MMDistributedDataParallel", "static_graph": True}}))
        Parallel(kind='ddp', options=(('static_graph', True),), sync_bn=False)
    """
    expect(tree, Config, "`tree` is a config")
    strategy = tree.get("strategy")
    said: dict[str, str] = {}
    options: dict[str, Any] = {}
    node = tree.get("parallel")
    if node is not None:
        kind = node.get("type") if isinstance(node, Mapping) else node
        said["parallel"] = "fsdp" if kind == "fsdp" else "ddp"  # pmap is what DDP does
    if strategy is not None:
        said["strategy"] = _kind(tree, "strategy", _STRATEGIES)
        for name in strategy:
            if name != "type" and name not in _OF_STRATEGY:
                raise _wrong(tree, f"strategy.{name}", " is no option of a strategy.", _OF_STRATEGY)
    for path in ("model_wrapper_cfg", "strategy.model_wrapper"):
        if tree.get(path) is not None:
            if tree.get(f"{path}.type") is not None or path == "model_wrapper_cfg":
                said[path] = _kind(tree, path, _WRAPPERS)
            kind = said.get(path) or said["strategy"]
            options |= _options(tree, path, kind)
    if any(one.get("use_fsdp") for one in _wrappers(tree)):
        said["optim_wrapper.use_fsdp"] = "fsdp"
    kinds = set(said.values())
    if len(kinds) > 1:
        (one, first), *others = said.items()
        other, second = next(row for row in others if row[1] != first)
        raise FkitValueError(
            f"{one} asks for {first!r}, and {other} for {second!r}: they exclude one another.", path=other,
            origin=tree.origin(other),
        )  # fmt: skip
    kind = next(iter(kinds), "ddp")
    if kind == "ddp" and tree.get("find_unused_parameters"):
        options["find_unused_parameters"] = True
    return Parallel(kind, tuple(options.items()), bool(tree.get("sync_bn") or tree.get("strategy.sync_bn")))


def _wrappers(tree: Config) -> list[Mapping[str, Any]]:
    node = tree.get("optim_wrapper")
    if not isinstance(node, Mapping):
        return []
    return [node, *(one for one in node.values() if isinstance(one, Mapping))]


def _kind(tree: Config, path: str, known: Mapping[str, str]) -> str:
    kind = tree.get(f"{path}.type") if isinstance(tree.get(path), Mapping) else tree.get(path)
    name = name_of(kind) if kind is not None else ""
    if name not in known:
        raise FkitValueError(
            f"{path}.type = {quoted(kind)} is not supported.", path=f"{path}.type", value=name,
            origin=tree.origin(path), choices=tuple(known),
        )  # fmt: skip
    return known[name]


def _options(tree: Config, path: str, kind: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in tree.get(path, {}).items():
        if name == "auto_wrap_policy" and kind == "fsdp":
            options |= {} if value is None else _policy(tree, f"{path}.{name}", value)
        elif name in _OPTIONS[kind]:
            options[name] = value
        elif name != "type" and name not in _PASSED[kind] and value is not None:
            raise _wrong(tree, f"{path}.{name}", f" = {quoted(value)} is not supported.", _OPTIONS[kind])
    return options


def _policy(tree: Config, path: str, value: Any) -> dict[str, Any]:
    """What a policy of torch's first FSDP says, as an option of `fkit.training.fleet.Parallel`."""
    node: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {"type": value}  # pyright: ignore[reportUnknownArgumentType]
    name = name_of(node.pop("type", ""))
    if name not in _POLICIES:
        raise FkitValueError(
            f"{path} = {quoted(value)} is not supported: FSDP2 asks no function at each module.", path=path, origin=tree.origin(path),
            value=name, choices=tuple(_POLICIES), repair="Name the classes that are gathered by themselves: wrap=('Block',).",
        )  # fmt: skip
    key, option = _POLICIES[name]
    for other in node:
        if other != key:
            raise _wrong(tree, f"{path}.{other}", f" is not supported: {name} takes {key} here.", (key,))
    told: Any = node.get(key, _LEAST if option == "least" else None)
    if option == "least":
        expect_number(told, f"{path}.{key}")
        return {option: told}
    if isinstance(told, str) or not isinstance(told, (list, tuple, set, frozenset)):
        raise FkitValueError(f"{path}.{key} = {quoted(told)}: names of classes, in a list.", path=f"{path}.{key}", origin=tree.origin(path))  # fmt: skip
    return {option: tuple(sorted(name_of(one) for one in told))}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _wrong(tree: Config, path: str, what: str, choices: tuple[str, ...]) -> FkitError:
    return FkitValueError(
        f"{path}{what}", path=path, origin=tree.origin(path), value=path.rpartition(".")[2], choices=choices
    )
