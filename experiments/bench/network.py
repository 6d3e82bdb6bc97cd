"""FCN-R50, HRNet-W32 and DETR-R50, or other released configs: a prediction on the CPU beside the reference package's.

    python experiments/bench/network.py --peer PYTHON [--transformers PYTHON] [--case fcn hrnet detr classifier]
        [--backend torch jax] [--seconds S] [--threads N]

PYTHON is an interpreter with mmdet 3.3.0, mmsegmentation 1.2.2, mmpose 1.3.2, mmpretrain 1.2.0 and a compiled mmcv 2.1.0 (``nox -s
peers`` builds one and prints where it is). Both sides read the released config in PYTHON's packages, have the same weights by a
rule and the same picture (noise, seeded); the sides take turns, a call each, in one run. The other interpreter has `transformers`
5.24 (``nox -s bench -- network`` makes one), whose DETR-R50 is a further side of that case, of the same shapes. Printed are medians of
the wall time with the quartiles in brackets, ratios within each turn, and each process's memory before the first call and at the
most; what JAX compiles it compiles in the first call, which is not timed.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from detection import Side, compare, serve, shapes, weight

HERE = Path(__file__).resolve().parent


class Case(NamedTuple):
    """A released config, and the picture that it predicts.

    Attributes:
        package: whose it is.
        config: its path below the package's configs.
        size: (height, width) of the picture.
    """

    package: str
    config: str
    size: tuple[int, int]


CASES = {
    "fcn": Case("mmseg", "fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py", (512, 512)),
    "hrnet": Case(
        "mmpose", "body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py", (256, 192)
    ),
    "detr": Case("mmdet", "detr/detr_r50_8xb2-150e_coco.py", (800, 1067)),
    "classifier": Case("mmpretrain", "resnet/resnet50_8xb32_in1k.py", (224, 224)),
}


def picture(size: tuple[int, int]) -> np.ndarray:
    """A normalised picture (1, 3, H, W) float32."""
    return np.random.default_rng(0).standard_normal((1, 3, *size)).astype(np.float32)


def pose_box(size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Where a person's picture was cut from, (1, 2) each: the whole of one of its size; and each keypoint's partner."""
    whole = np.array([size[::-1]], np.float32)
    return {
        "input_center": whole / 2,
        "input_scale": whole,
        "input_size": whole.astype(np.int64),
        "flip_indices": np.arange(17)[None],
    }


def without_files(node: Any) -> Any:
    """A model's config without the files that its weights would be read from."""
    if isinstance(node, dict):
        kept = {key: without_files(value) for key, value in node.items()}
        pretrained = isinstance(kept.get("init_cfg"), dict) and kept["init_cfg"].get("type") == "Pretrained"
        return {
            key: value for key, value in kept.items() if not (key == "init_cfg" and pretrained) and key != "pretrained"
        }
    if isinstance(node, (list, tuple)):
        return type(node)(without_files(value) for value in node)
    return node


def ours(backend: str, case: Case, path: str) -> Callable[[], Any]:
    """fkit's prediction."""
    import fkit
    from fkit.array.room import open as open_room
    from fkit.structures.batch import Batch
    from fkit.training.optimizer import Optimizer
    from fkit.training.spec import Spec
    from fkit.tree.tree import thaw

    cfg: Any = without_files(thaw(fkit.load_config(path)["model"]))
    cfg.pop("data_preprocessor", None)
    registry, room = fkit.registry(), open_room(backend)
    image = picture(case.size)
    program = room.program(
        Spec(
            lambda name: fkit.build(cfg, registry, "models", backend=name, scope=case.package),
            {"main": Optimizer.of("SGD", {"lr": 1e-6})},
            device="cpu",
            example=lambda: image,
        )
    )
    arrays = {
        entry.name: weight(entry.name, tuple(entry.shape))
        for entry in program.inventory.entries
        if entry.dtype.startswith("float")
    }
    state = program.init(0)
    whole = {
        **{name.partition("/")[2]: value for name, value in program.collect(state).items() if "/" in name},
        **arrays,
    }
    names = {entry.name for entry in program.inventory.entries}
    state = program.load(state, {name: value for name, value in whole.items() if name in names})
    targets = shapes(1, case.size, True)
    targets["pad_shape"] = targets["input_shape"]
    targets |= pose_box(case.size) if case.package == "mmpose" else {}
    meta = ({"ori_shape": case.size, "img_shape": case.size},)
    batch = Batch(image, targets, meta=meta)
    return lambda: room.host(program.predict(state, batch))


def folder_of(python: str, package: str) -> Path:
    """Where a package's released configs are, in another interpreter."""
    words = f"import importlib.util as u; print(u.find_spec({package!r}).submodule_search_locations[0])"
    done = subprocess.run([python, "-c", words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"network.py: {python} has no {package}: {done.stderr.strip().splitlines()[-1]}")
    return Path(done.stdout.strip()) / ".mim" / "configs"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", required=True, help="an interpreter with the reference packages")
    parser.add_argument("--transformers", metavar="PYTHON", help="an interpreter with transformers, beside DETR-R50")
    parser.add_argument("--case", nargs="+", default=["fcn", "hrnet", "detr"], choices=tuple(CASES))
    parser.add_argument("--backend", nargs="+", default=["torch"], choices=("torch", "jax"))
    parser.add_argument("--seconds", type=float, default=60.0, help="of each case")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serve", nargs=2, metavar=("BACKEND", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(ours(args.serve[0], CASES[args.case[0]], args.serve[1]))
        return 0
    env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(args.threads))}
    print("| network | side | seconds | the reference's time over it | transformers' time over it |")
    print("| --- | --- | ---: | ---: | ---: |")
    for name in args.case:
        case = CASES[name]
        path = str(folder_of(args.peer, case.package) / case.config)
        own = [sys.executable, str(Path(__file__).resolve()), "--peer", args.peer, "--case", name, "--serve"]
        sides = {f"fkit {backend}": Side([*own, backend, path], env) for backend in args.backend}
        sides[case.package] = Side([args.peer, str(HERE / "peer_network.py"), name, path], env)
        if name == "detr" and args.transformers:
            sides["transformers"] = Side([args.transformers, str(HERE / "peer_transformers.py")], env)
        before = {side: one.ask("memory") for side, one in sides.items()}
        rows = compare(sides, name, args.seconds, (case.package, "transformers"))
        peaks = ", ".join(f"{side} {one.ask('peak'):,.0f} MB ({before[side]:,.0f})" for side, one in sides.items())
        print("\n".join(rows) + f"\n| {name} | peak memory (before the first call) | {peaks} | | |", flush=True)
        for one in sides.values():
            one.process.terminate()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
