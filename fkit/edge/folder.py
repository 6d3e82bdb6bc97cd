"""A work folder: what may begin in it, and what may go on."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fkit.config.config import Config, load_config
from fkit.edge.checkpoint import Found, is_saved, locate, newest, read_checkpoint
from fkit.edge.files import place_of
from fkit.edge.lock import LOCK
from fkit.fileio.checkpoint import STATE, named_by
from fkit.recipe.settings import read
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, FkitValueError, quoted
from fkit.tree.path import show
from fkit.tree.place import is_url
from fkit.tree.tree import diff
from fkit.tree.version import __version__

__all__ = ["FREE", "Opened", "comparable", "expect_folder", "is_file", "open_folder", "run_record", "versions"]

FREE = (
    "work_dir", "backend", "device", "launcher", "parallel", "devices", "scan_steps", "compile", "threads", "resume", "load_from", "log_level",
    "log_processor", "visualizer", "vis_backends", "experiment_name", "env_cfg", "tta_model", "tta_pipeline",
)  # fmt: skip
"""Keys that may differ when a run goes on; so may workers, prefetching, logging, and the length, which may grow."""

_FOLDER = "`folder` is the path of a work folder"
_NAMES = frozenset(
    ("config.py", "metrics.jsonl", "log.txt", "curves.png", "confusion_matrix.png", "checkpoints", "vis", "vis_data")
)  # that a run writes
_ENDS = (".pth", ".pt", ".safetensors")
_LOADER = ("num_workers", "prefetch_factor", "persistent_workers", "pin_memory")


class Opened(NamedTuple):
    """How a run begins in a folder.

    Attributes:
        found: the kit's own checkpoint that it goes on from; None begins anew, or goes on from another.
        record: run.json of before, where there is one.
        said: what a person should be told.
        foreign: the address of a file of OpenMMLab's that it goes on from.
    """

    found: Found | None
    record: Mapping[str, Any] | None = None
    said: tuple[str, ...] = ()
    foreign: str = ""


def expect_folder(folder: str | Path, resume: bool | str) -> None:
    """Refuse a folder that no run may write into, before anything is made there.

    Raises:
        FkitValueError: it is a file, or holds what no run of the kit's has written.
        FkitOSError: it cannot be looked into.
    """
    folder = place_of(folder, _FOLDER)
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise FkitValueError(f"{folder}: is no folder.", repair="Name another --work-dir.")
    if not os.path.isdir(folder) or os.path.exists(folder / "run.json"):
        return
    try:
        names = set(os.listdir(folder)) - {LOCK}
    except OSError as cause:
        raise FkitOSError(f"{folder}: cannot be looked into: {cause.strerror}.") from cause
    if names & _NAMES if resume else names:  # to go on where it can, a scheduler's own files may lie there
        raise FkitValueError(f"{folder}: is not empty and holds no run.", repair="Name another --work-dir.")


def open_folder(folder: str | Path, cfg: Config, resume: bool | str) -> Opened:
    """Decide how a run of ``cfg`` begins in ``folder``; reads, and writes nothing.

    A run that ended before its first checkpoint is nothing to go on with: the next one begins anew, with ``resume`` or
    without. Whoever asks holds the folder (`fkit.edge.lock.hold`), for a run that still goes on may be in there.

    Args:
        resume: go on with the run that the folder holds; a path goes on from that checkpoint.

    Raises:
        FkitValueError: the folder is none, or not a run's; or it holds a run and ``resume`` is off, or one of another
            config (with the diff), or a finished one that saved nothing.
        FkitFileNotFoundError: the checkpoint to go on from is not there.
    """
    folder = place_of(folder, _FOLDER)
    expect_folder(folder, resume)
    record = _record(folder)
    if record is None:
        if isinstance(resume, str):
            said = (f"going on from {resume}",)
            return (
                Opened(None, None, said, resume)
                if is_file(resume)
                else Opened(_whole(read_checkpoint(locate(resume))), None, said)
            )
        return Opened(None, None, ("there is no run to resume: it begins now",) if resume else ())
    status = str(record.get("status"))
    saved = is_saved(folder / "checkpoints")
    if not resume and (saved or status == "finished"):
        raise FkitValueError(
            f"{folder}: holds a run already ({status}).",
            repair="Go on with --resume, or name another --work-dir." if saved else "Name another --work-dir.",
        )
    if not saved and not isinstance(resume, str):
        if status == "finished":
            raise FkitValueError(f"{folder}: the run is finished, and saved no checkpoint to go on from.")
        ended = {"failed": "failed", "interrupted": "was interrupted"}.get(status, "was killed")
        said = f"{folder}: the run before {ended}, and no checkpoint was written yet: the run starts over"
        return Opened(None, record, (said,))
    _same_run(folder, cfg)
    if isinstance(resume, str) and is_file(resume):
        return Opened(None, record, (f"going on from {resume}",), resume)
    found = read_checkpoint(locate(resume)) if isinstance(resume, str) else newest(folder / "checkpoints")
    assert found is not None, "some are there"
    _whole(found)
    said = tuple(f"passed over {name}: {why}" for name, why in found.passed)
    return Opened(found, record, (*said, f"going on from {found.folder.name}"))


def is_file(address: str) -> bool:
    """Whether an address is that of one file, and no folder of the kit's own.

    Example:
        >>> is_file("https://a.org/net.pth"), is_file("work_dirs/a")
        (True, False)
    """
    expect(address, str, "`address` is a text")
    path = Path(os.path.expanduser(address))
    return is_url(address) or (path.is_file() and path.suffix in _ENDS and path.name != STATE and not named_by(path))


def _whole(found: Found) -> Found:
    """A checkpoint that a run can go on from."""
    if found.meta.get("weights_only"):
        raise FkitValueError(
            f"{found.folder}: holds weights alone (save_optimizer=False): no run goes on from it.",
            repair=f"Begin another with these weights: --load-from {found.folder}.",
        )
    return found


def run_record(
    cfg: Config, backend: str, seed: int, command: list[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """What run.json says of a run at its start."""
    return {
        "fingerprint": comparable(cfg).fingerprint,
        "seed": seed,
        "backend": backend,
        "versions": versions(environment),
        "git": _git(),
        "command": command,
        "status": "running",
    }


def versions(environment: Mapping[str, str]) -> dict[str, str]:
    """What the bits of a run depend on: versions, devices and threads; the room's rows of one line, and the kit's own.

    Example:
        >>> sorted(versions({"PyTorch": "2.13.0"}))
        ['PyTorch', 'Python', 'fkit', 'numpy']
    """
    own = {"Python": platform.python_version(), "fkit": __version__, "numpy": np.__version__}
    return {**own, **{name: text for name, text in environment.items() if "\n" not in text}}


def comparable(cfg: Config, whole: bool = True) -> Config:
    """The part of a config that a resumed run must share, with its defaults.

    Args:
        whole: take a training batch as what all devices that the config names have together.
    """
    tree = {name: value for name, value in read(cfg).tree.items() if name not in FREE}
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        if tree.get(name):
            tree[name] = {key: value for key, value in tree[name].items() if key not in _LOADER}
    _join_batch(tree, (read(cfg).devices or 1) if whole else 1)
    hooks = dict(tree.get("default_hooks") or {})
    tree["default_hooks"] = {
        name: value for name, value in hooks.items() if name not in ("logger", "timer", "runtime_info")
    }
    if tree.get("train_cfg"):
        tree["train_cfg"] = {k: v for k, v in tree["train_cfg"].items() if k not in ("max_epochs", "max_iters")}
    randomness: Mapping[str, Any] = tree.get("randomness") or {}
    tree["randomness"] = {name: value for name, value in randomness.items() if name != "seed"}
    return Config(tree)


def _join_batch(tree: dict[str, Any], devices: int) -> None:
    """The training batch as what all devices have together: in place of how many each of them has."""
    loader: dict[str, Any] = tree.get("train_dataloader") or {}
    whole = loader.pop("global_batch_size", None)
    if whole is not None:
        loader["batch_size"] = whole
    elif loader.get("batch_size") is not None:
        loader["batch_size"] *= devices


def _same_run(folder: Path, cfg: Config) -> None:
    path = folder / "config.py"
    if not path.exists():
        raise FkitFileNotFoundError(f"{path}: is missing, so nobody knows whose run this folder holds.")
    then = load_config(str(path))
    old, new = comparable(then), comparable(cfg)
    torch = all((one.get("backend") or "torch") == "torch" for one in (then, cfg))
    # on torch a launcher may say how many devices there are, and no config: the batches are compared with the data
    if old != new and not (torch and comparable(then, whole=False) == comparable(cfg, whole=False)):
        raise FkitValueError(
            f"{folder}: holds a run of another config:\n{_rows(old, new)}",
            repair="Name another --work-dir, or give the config that this run was started with.",
        )
    was, now = read(then).train, read(cfg).train
    if was is not None and now is not None and was.limit is not None and (now.limit or 0) < was.limit:
        name = "max_epochs" if now.by_epoch else "max_iters"
        raise FkitValueError(f"{folder}: train_cfg.{name} was {was.limit} and may only grow, not become {now.limit}.")


def _rows(old: Config, new: Config) -> str:
    """What changed between two configs, a line each."""
    words = {"added": "{path}: {new} is new", "removed": "{path}: {old} is gone", "changed": "{path}: {old} -> {new}"}
    return "\n".join(
        "  " + words[change.kind].format(path=show(change.path), old=quoted(change.old, 40), new=quoted(change.new, 40))
        for change in diff(old, new)
    )


def _record(folder: Path) -> Mapping[str, Any] | None:
    path = folder / "run.json"
    if not path.exists():
        return None
    try:
        record: Any = json.loads(path.read_text())
    except (ValueError, OSError):
        record = None
    if not isinstance(record, dict) or "status" not in record:
        raise FkitValueError(
            f"{path}: is not the record of a run; the folder is not one that fkit wrote.",
            repair="Name another --work-dir.",
        )
    return record  # pyright: ignore[reportUnknownVariableType]


def _git() -> str | None:
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
