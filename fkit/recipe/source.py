"""A config's data and metrics, built: sources and evaluators, with a plan around them or with none."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from frozendict import frozendict

from fkit.array.room import open as open_room
from fkit.catalog.build import build
from fkit.catalog.builtin import registry as builtin_registry
from fkit.catalog.plugin import include_custom
from fkit.catalog.registry import Registry
from fkit.catalog.report import is_reported, locate, parts_in, place, placed, reported
from fkit.config.config import Config
from fkit.data.loader import Loader, open_loader
from fkit.data.sampler import count_of
from fkit.data.source import Source
from fkit.metric.evaluator import Evaluator
from fkit.recipe.preprocess import joined_by
from fkit.recipe.settings import Part, Settings, line_of, missing, read
from fkit.recipe.vocabulary import name_of
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError

__all__ = ["build_part", "evaluator_of", "open_evaluator", "open_source", "registry_of", "said_at", "source_of"]

_PARTS = frozendict(datasets="dataset", data_samplers="sampler", functions="collate_fn")  # kind -> key of a dataloader


def registry_of(settings: Settings, registry: Registry | None = None, allow: str | Iterable[str] = ()) -> Registry:
    """The registry that a config sees: the one given (by default the built-in), and what its ``custom_imports`` offer."""
    if registry is not None:
        expect(registry, Registry, "`registry` is a registry (fkit.registry() is the built-in one)")
    reg = registry if registry is not None else builtin_registry()
    reg = include_custom(reg, settings.custom_imports, allow)
    try:
        reg.start(settings.default_scope)
    except FkitKeyError as error:
        origin = settings.tree.origin("default_scope")
        raise placed(error, f"default_scope = {settings.default_scope!r}: ", "default_scope", origin) from None
    return reg


def build_part(part: Part, settings: Settings, registry: Registry, kind: str, **options: Any) -> Any:
    """What a part's config describes; ``options`` are those of `fkit.catalog.build.build`."""
    return build(part.node, registry, kind, scope=settings.default_scope, path=part.path, **options)


def said_at(error: FkitError, path: str, settings: Settings) -> FkitError:
    """The error with the key of the config that it belongs to, where it does not say one; what it says of a place is
    where in that key it is."""
    if is_reported(error) or error.origin or error.path.startswith(path):
        return error
    at = place(path, error.path)
    lead = "" if error.what.startswith(at) else f"{at}: "
    return reported(placed(error, lead, at, line_of(settings.tree, at)))


def source_of(settings: Settings, registry: Registry, part: str, seed: int, **changes: Any) -> Source:
    """The source of a part, "train", "val" or "test".

    Args:
        changes: keys of the dataloader to change.
    """
    path, node = settings.loaders[part][:2]
    table = {**node, **changes}

    def make(kind: str, cfg: Any) -> Any:
        key = "batch_sampler" if cfg is table.get("batch_sampler") else _PARTS[kind]
        return build_part(Part(f"{path}.{key}", cfg), settings, registry, kind)

    join: Any = table.get("collate_fn")
    if isinstance(join, Mapping):
        join = make("functions", join)
    table["collate_fn"] = joined_by(join, settings, registry, part == "train")
    environment, spread = settings.environment, None
    if table.get("num_workers"):  # torch's serve either backend
        options = {"method": environment.start_method, "cv2_threads": environment.cv2_threads}
        spread = partial(open_room("torch").workers, **options)
    try:
        source = open_loader(
            table, build=make, seed=seed, path=path, spread=spread, told=partial(_said_in, path, settings),
            rank=settings.fleet.rank, world=settings.fleet.world, devices=settings.devices or 1,
        )  # fmt: skip
        if part == "train":
            _expect_equal(source)
    except FkitError as error:
        raise said_at(error, path, settings) from error.__cause__
    return source


def _expect_equal(source: Loader) -> None:
    """Refuse training data of which processes get unequal shares: a mean over processes would weigh them alike."""
    uneven = count_of(source.sampler, source.samples) % source.world if not source.sampler.endless else 0
    drops = getattr(source.batch_sampler, "drop_last", source.drop_last)
    if uneven and not drops and not getattr(source.sampler, "round_up", True):
        raise FkitValueError(
            f"round_up = False, and {source.world} processes get unequal shares of the last batch.",
            path="sampler",
            repair="Let it be True, which repeats samples, or set drop_last=True.",
        )


def _said_in(path: str, settings: Settings, error: FkitError) -> FkitError:
    """An error of a batch, said of the part of the config that it came from.

    Args:
        path: of the dataloader.
        error: its ``path`` is where in a dataset it arose, its ``parts`` say in what.
    """
    if error.path in (*_PARTS.values(), "batch_sampler"):
        at = place(path, error.path)
    else:
        whole = f"{path}.dataset"
        at = place(whole, _inner(settings.tree.get(whole), error))
    return reported(placed(error, f"{at}: ", at, line_of(settings.tree, at)))


def _inner(node: Any, error: FkitError) -> str:
    """The path, in a dataset's config, of the one part that an error can be of; "" where that is not known."""
    known = [("", node), *parts_in(node)] if isinstance(node, Mapping) else []
    rows = [(path, name_of(part.get("type"))) for path, part in known]
    same = [row for row in rows if error.path and f".{row[0]}".endswith(f".{error.path}")]
    named = [row for row in same if row[1] in error.parts[:1]] or same
    if len(named) == 1:
        return named[0][0]
    for name in error.parts:
        of_name = [path for path, kind in rows if kind == name]
        if len(of_name) == 1:
            return of_name[0]
    return ""


def evaluator_of(settings: Settings, registry: Registry, part: str) -> Evaluator | None:
    """The evaluator of "val" or "test"; None where the config has none."""
    whole = settings.evaluators.get(part)
    if whole is None:
        return None

    def make(kind: str, cfg: Any) -> Any:
        at = whole.path if whole.node is cfg else place(whole.path, locate(whole.node, cfg))
        return build_part(Part(at, cfg), settings, registry, kind)

    try:
        return Evaluator.of(whole.node, build=make)
    except FkitError as error:
        raise said_at(error, whole.path, settings) from error.__cause__


def open_source(cfg: Config, registry: Registry | None, part: str, **changes: Any) -> Source:
    """One of the config's sources, with no plan around it.

    Args:
        part: "train", "val" or "test".
        changes: keys of the dataloader to change.

    Raises:
        FkitKeyError: the config has no such dataloader.
    """
    settings = read(cfg)
    if part not in settings.loaders:
        raise missing(settings, f"{part}_dataloader", "this")
    return source_of(settings, registry_of(settings, registry), part, settings.seed or 0, **changes)


def open_evaluator(cfg: Config, registry: Registry | None, part: str) -> Evaluator | None:
    """The config's evaluator for a part, with no plan around it; None where it has none."""
    settings = read(cfg)
    return evaluator_of(settings, registry_of(settings, registry), part)
