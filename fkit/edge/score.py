"""A checkpoint scored on held-out data, by one call: what ``fkit test`` does."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from frozendict import frozendict

from fkit.catalog.registry import Registry
from fkit.config.config import Config
from fkit.data.source import Source
from fkit.edge.checkpoint import Found, locate, read_checkpoint
from fkit.edge.fleet import Bystander, joined
from fkit.edge.folder import is_file
from fkit.edge.limit import open_files
from fkit.edge.perform import Edge, matrix_name
from fkit.edge.predictions import Gathering, Target, keeping
from fkit.edge.progress import Screen
from fkit.edge.repeat import repeat, telling
from fkit.edge.signal import ending
from fkit.edge.thread import chosen, threads
from fkit.fileio.weights import read_content
from fkit.recipe.settings import Settings, read
from fkit.recipe.vocabulary import name_of
from fkit.run.effect import (
    CopyLogs,
    DrawCurves,
    DrawMatrix,
    Fail,
    WriteConfig,
    WritePredictions,
    WriteScalars,
    WriteStatus,
    WriteTags,
    WriteText,
)
from fkit.run.plan import Plan, held_out, open_data, plan
from fkit.run.start import Saved, opened
from fkit.run.state import RunState
from fkit.run.validation import test, validate
from fkit.training.ema import NAME, averages, choose
from fkit.training.fleet import Fleet
from fkit.training.load import LoadFrom
from fkit.training.load import chosen as chosen_weights
from fkit.training.pretrained import pretrained
from fkit.training.program import Program
from fkit.training.state import TrainState
from fkit.tree.check import expect
from fkit.tree.frozen import EMPTY

__all__ = ["Sheet", "found_at", "load_state", "score", "test_config", "validate_config"]


def test_config(
    cfg: Config,
    checkpoint: str | Path,
    registry: Registry | None = None,
    *,
    allow: str | Iterable[str] = (),
    tta: bool = False,
) -> Mapping[str, float]:
    """Score a checkpoint on a config's test data: ``fkit test``, as a call.

    Args:
        cfg: the config. Where it has no ``test_dataloader`` or ``test_evaluator``, validation's is taken.
        checkpoint: a step_... folder, ``latest``, or a work folder; a .pth or .safetensors, or an address.
        registry: where the config's parts come from; by default the built-in one.
        allow: modules that the config may import and name: see `fkit.catalog.allow`.
        tta: test-time augmentation: each image is predicted in the views of ``tta_pipeline``, which ``tta_model`` merges.

    Returns:
        {metric: score}.

    Raises:
        FkitError: the config has nothing to test on, or the weights are another model's.

    Example::

        fkit.test_config(fkit.load_config("configs/digits/mlp.py"), "work_dirs/mlp")["accuracy/top1"]
    """
    return score(cfg, checkpoint, registry, Screen(), allow=allow, tta=tta).metrics


def validate_config(
    cfg: Config, checkpoint: str | Path, registry: Registry | None = None, *, allow: str | Iterable[str] = ()
) -> Mapping[str, float]:
    """Score a checkpoint on a config's validation data; otherwise as `test_config`."""
    return score(cfg, checkpoint, registry, Screen(), allow=allow, part="val").metrics


def score(
    cfg: Config,
    checkpoint: str | Path,
    registry: Registry | None,
    screen: Screen,
    *,
    allow: str | Iterable[str] = (),
    part: str = "test",
    weights: str | None = None,
    predictions: Path | None = None,
    measures: Sequence[str] = (),
    tta: bool = False,
    prefix: str | None = None,
) -> RunState:
    """`test_config` or `validate_config`, with its screen.

    Args:
        cfg, checkpoint, registry, allow, tta: as of `test_config`.
        screen: what a person watches; closed at the end.
        part: "test" or "val".
        weights: "own" or "ema", of a checkpoint that has both; None: those with which the run validated.
        predictions: a file that takes what is predicted, a line a sample: see `fkit.metric.kept`.
        measures: what is measured, in place of what the config says: `fkit.metric.evaluator.Evaluator.measuring`.
        prefix: of files of results for a server, in place of scores: `fkit.metric.evaluator.Evaluator.writing`.
    """
    expect(cfg, Config, "`cfg` is a Config", "fkit.load_config(path) reads one, fkit.Config(mapping) makes one.")
    settings = read(cfg)
    with joined(settings) as (fleet, _):
        if not fleet.leads:
            screen.mute()
        asked = (part, weights, predictions, measures, tta, prefix)
        return _scored(cfg, settings, os.fspath(checkpoint), registry, screen, fleet, allow, *asked)


def _scored(
    cfg: Config, settings: Settings, address: str, registry: Registry | None, screen: Screen, fleet: Fleet,
    allow: str | Iterable[str], part: str, weights: str | None, predictions: Path | None, measures: Sequence[str],
    tta: bool, prefix: str | None,
) -> RunState:  # fmt: skip
    """`score`, of one of its processes."""
    found = Path(address) if is_file(address) else locate(address)
    whose = {kind: held_out(settings, part, kind) for kind in ("dataloader", "evaluator")}
    repeat(settings)
    count = threads(settings)
    open_files(settings)
    made = plan(cfg, registry, allow=allow, part=part, tta=tta, fleet=fleet)
    if made.evaluator is not None:
        made = replace(made, evaluator=made.evaluator.measuring(measures).writing(prefix))
    if predictions is not None:
        made = keeping(made)
    state, words = load_state(made.program, found_at(address, made.program, made.registry), weights)
    run = opened(made, state)
    data = open_data(made)
    chosen(count, made.program, run.train, data[part])
    for kind, name in whose.items():
        if name != part:
            screen.say(f"the config has no {part}_{kind}: {name}_{kind} is taken")
    if tta:
        merger = name_of(settings.tree["tta_model"]["type"])
        screen.say(f"each image is predicted in the views of tta_pipeline, merged by {merger}")
    if words:
        screen.say(words)
    folder = _folder(settings, found, part)
    sheet = Sheet(folder, made, screen=screen) if fleet.leads else Bystander(folder, made)
    fold = test if part == "test" else validate
    try:
        with ending(), telling(made.room), ExitStack() as stack:
            kept = None if predictions is None else _kept(stack, predictions, data[part], fleet)
            for run, effects in fold(made, run, sheet.watched(data)):
                for effect in effects:
                    if kept is not None and isinstance(effect, WritePredictions):
                        kept.perform(effect)
                    else:
                        sheet.perform(effect, run)
    finally:
        sheet.close()
    return run


def _kept(stack: ExitStack, place: Path, source: Source, fleet: Fleet) -> Target | Gathering:
    """What takes the predictions."""
    target = stack.enter_context(Target(place, source)) if fleet.leads else None
    return target if target is not None and not fleet.several else stack.enter_context(Gathering(fleet, target))


def found_at(checkpoint: str | os.PathLike[str], program: Program, registry: Registry | None = None) -> Found:
    """A checkpoint to predict with: the kit's own, or a file of OpenMMLab's or torch's, or of weights, by its address.

    Args:
        checkpoint: as `fkit.fileio.weights` has them.
        program: of the model whose weights they are.
        registry: where schemes and file backends are looked up; None is the built-in one.

    Raises:
        FkitError: it cannot be read, or is another model's.
    """
    expect(checkpoint, (str, os.PathLike), "`checkpoint` is the path or the address of one")
    expect(program, Program, "`program` is a program (fkit.program makes one)")
    address = os.fspath(checkpoint)
    if not is_file(address):
        return read_checkpoint(locate(address))
    content = read_content(address, registry)
    arrays = dict(chosen_weights(program.inventory, content, LoadFrom(address, strict=True, weights="own")).arrays)
    if content.averaged is not None:
        source = LoadFrom(address, strict=True, weights="ema")
        average = chosen_weights(program.inventory, content, source).arrays
        word = NAME if program.weights == "own" else program.weights
        arrays |= {
            f"slots/{word}/{path.partition('/')[2]}": a for path, a in average.items() if path.startswith("params/")
        }
    begun = program.init(0, pretrained=False) if pretrained(program.inventory) else program.init(0)
    fresh = program.collect(begun)
    others = {path: array for path, array in fresh.items() if not path.startswith(("opt/", "slots/"))}
    classes = _classes(content.whole)
    meta = frozendict(data=frozendict(train=frozendict(classes=classes))) if classes else EMPTY
    return Found(Path(address), Saved({**others, **arrays}, {}), meta)


def _classes(whole: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the classes that a ``.pth`` of OpenMMLab's was trained on, as either generation keeps them."""
    meta: Any = whole.get("meta")
    kept = cast("Mapping[str, Any]", meta) if isinstance(meta, Mapping) else {}
    newer: Any = kept.get("dataset_meta")
    tables = (cast("Mapping[str, Any]", newer) if isinstance(newer, Mapping) else {}, kept)
    named: Any = next((one for table in tables for key in ("classes", "CLASSES") if (one := table.get(key))), ())
    listed = [named] if isinstance(named, str) else named if isinstance(named, (list, tuple)) else ()
    return tuple(str(one) for one in cast("Sequence[Any]", listed))


def load_state(program: Program, found: Found, weights: str | None = None) -> tuple[TrainState, str]:
    """The weights of a checkpoint that was read, as a state of ``program``; the optimizer starts fresh.

    Args:
        weights: "own" or "ema"; None: those with which the run validated.

    Returns:
        (state, which weights were taken, where there was a choice).

    Raises:
        FkitError: it is another model's.
    """
    arrays = found.saved.arrays
    state = program.restore({name: array for name, array in arrays.items() if not name.startswith("opt/")})
    if (
        weights is None and not found.meta.keys() - {"data"} and averages(arrays)
    ):  # a file of mmengine's means its average
        weights = "ema"
    state, said = choose(program, state, weights)
    if program.weights != "own" and not averages(arrays, program.weights):
        said = (
            "the checkpoint holds no moving average of its weights, with which the config would predict: they are taken"
        )
    return state, said


class Sheet(Edge):
    """The edge of a run that looks at held-out data alone: what hooks say goes to the screen, and nothing into a run's
    own files. Pictures, and what hooks of the user's own ask for, are written into the folder.

    Args: as of `Edge`.
    """

    def __init__(self, folder: Path, plan: Plan, screen: Screen | None = None) -> None:
        super().__init__(folder, plan, {}, screen=screen)
        silent = (CopyLogs, WriteConfig, WriteScalars, WriteStatus, WriteTags, DrawCurves, Fail)
        self._performers |= {
            WriteText: self._shown,
            DrawMatrix: self._counted,
            **{kind: self._nothing for kind in silent},
        }

    def _shown(self, effect: WriteText, run: RunState) -> None:
        if self.screen is not None:
            self.screen.say(effect.text, effect.level)

    def _counted(self, effect: DrawMatrix, run: RunState) -> None:
        self._matrix(effect, run)
        self._shown(WriteText(f"{self.folder / matrix_name(effect.name)}: which class is taken for which"), run)

    def _nothing(self, effect: Any, run: RunState) -> None:
        """The scores, and an error, are what the caller gets."""


def _folder(settings: Settings, found: Path, part: str) -> Path:
    """Where pictures go: beside the checkpoints of the run, unless the config names a work folder."""
    work = settings.work_dir or (found.parent.parent if found.parent.name == "checkpoints" else found.parent)
    return Path(work) / part
