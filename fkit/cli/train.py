"""``fkit train CONFIG``: from a config to a trained model, in a work folder."""

import argparse
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fkit.catalog.registry import Registry
from fkit.cli.command import add_command, whole
from fkit.cli.option import add_config, add_launcher, add_place, permissions
from fkit.cli.reach import open_registry, read_config
from fkit.cli.spawn import spawned
from fkit.config.config import Config
from fkit.edge.work import screened, work
from fkit.recipe.vocabulary import name_of
from fkit.run.state import RunState

__all__ = ["add", "train"]


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "train",
        "Train a model from a config, in a work folder.",
        [
            "fkit train configs/digits/convnet.py --work-dir work_dirs/a --cfg-options train_cfg.max_epochs=5",
            ("fkit train configs/digits/convnet.py --work-dir work_dirs/a --resume", "go on with it"),
        ],
    )
    add_config(command)
    add_place(command)
    command.add_argument("--work-dir", metavar="DIR", help="default: work_dirs/NAME_OF_CONFIG")
    command.add_argument(
        "--seed", type=whole, metavar="N", help="default: the config's, else one is drawn and recorded"
    )
    command.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=None,
        metavar="PATH",
        help="go on with the run in the work folder, or from PATH",
    )
    command.add_argument(
        "--other-data", action="store_true", help="with --resume: go on though the data are others than before"
    )
    command.add_argument(
        "--load-from", metavar="PATH", help="begin with the weights of a checkpoint: a path, or an address"
    )
    add_launcher(command)
    command.add_argument(
        "--amp",
        action="store_true",
        help="train in mixed precision: AmpOptimWrapper, with a dynamic loss scale (float16 on CUDA with torch, else bfloat16)",
    )
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    cfg = read_config(arguments)
    code = spawned("train", arguments, cfg)
    if code is not None:
        return code
    changes: dict[str, Any] = {}
    for name in ("work_dir", "seed", "load_from", "launcher", "resume"):
        if getattr(arguments, name) is not None:
            changes[name] = getattr(arguments, name)
    if arguments.amp:
        changes |= _amp(cfg)
    cfg, name = cfg.merge(changes, source="the command line") if changes else cfg, Path(arguments.config).stem
    return train(cfg, name, open_registry(arguments), arguments.other_data, permissions(arguments))


def _amp(cfg: Config) -> dict[str, Any]:
    """What ``--amp`` changes: what mmengine's tools/train.py does, and in a config of mmcv 1.x what stands for it there."""
    node = cfg.get("optim_wrapper")
    if not isinstance(node, Mapping):
        return {"fp16": {"loss_scale": "dynamic"}}
    names = (
        ("optim_wrapper",)
        if "optimizer" in node
        else tuple(f"optim_wrapper.{name}" for name, one in node.items() if isinstance(one, Mapping))
    )
    plain = [path for path in names if name_of(cfg.get(f"{path}.type") or "OptimWrapper") != "AmpOptimWrapper"]
    return {f"{path}.{key}": value for path in plain for key, value in _AMP}


_SAID = 8  # scores of the last line
_AMP = (("type", "AmpOptimWrapper"), ("loss_scale", "dynamic"))


def train(cfg: Config, name: str, registry: Registry, other_data: bool = False, allowed: Sequence[str] = ()) -> int:
    """Train in the config's work folder, and say what came of it.

    Args:
        name: of the work folder under ``work_dirs``, where the config names none.
        registry: where the config's parts come from.
        other_data: go on with a run though its data are others than before.
        allowed: words of the command line that the commands it names at the end need too.

    Returns:
        0 when the run ended, 130, 143 or 129 when a signal ended it; the state is saved.
    """
    with screened() as screen:
        folder, run, went, leads = work(cfg, registry, screen, name=name, other_data=other_data)
        if not went or (not leads and not run.signal):
            return 0
        if run.signal:
            screen.say(_curves(folder))
            return 128 + signal.Signals[run.signal].value
        screen.say(_next(folder, allowed))
        screen.close()
        sys.stdout.write(_closing(folder, run))
        sys.stdout.flush()
        return 0


def _closing(folder: Path, run: RunState) -> str:
    """The last line: what came out, and where its curves are."""
    said = [f"{name} {value:.4f}" for name, value in run.metrics.items()]
    scores = ", ".join(said[:_SAID] + [f"and {len(said) - _SAID} more"] * (len(said) > _SAID))
    return f"{folder}: {run.iteration} iterations; {scores or 'no validation'}; {_curves(folder)}\n"


def _curves(folder: Path) -> str:
    path = folder / "curves.png"
    return f"curves in {path}" if path.exists() else "no curves: nothing was measured"


def _next(folder: Path, allowed: Sequence[str]) -> str:
    """What may be done with a run that has ended."""
    use = shlex.join((str(folder / "config.py"), str(folder), *allowed))
    return f"next: fkit test {use}, or fkit infer {use} IMAGE"
