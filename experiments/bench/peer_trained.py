"""mmdet's run of a config that trained.py wrote, by an interpreter of its own; trained.py starts it.

    PYTHON peer_trained.py CONFIG.py WORK_DIR

Prints, as its last line, the scores of each validation.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "record"))
import reference  # noqa: F401  before the packages
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.runner import Runner


def fitted(cfg: Any, folder: Path) -> Any:
    """The config with what mmengine's Runner asks for by name: samplers, a wrapper's type, a seed of its own place."""
    for part in ("train", "val", "test"):
        loader = cfg[f"{part}_dataloader"]
        loader.sampler = {"type": "DefaultSampler", "shuffle": bool(loader.pop("shuffle", False))}
    cfg.optim_wrapper.setdefault("type", "OptimWrapper")
    cfg.randomness = {"seed": cfg.pop("seed")}
    cfg.default_hooks.pop("visualization")
    cfg.work_dir = str(folder)
    return cfg


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    cfg, folder = Config.fromfile(sys.argv[1]), Path(sys.argv[2])
    register_all_modules()
    Runner.from_cfg(fitted(cfg, folder)).train()
    (path,) = folder.glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    print(json.dumps([row for row in rows if "coco/bbox_mAP" in row]), file=answers)


if __name__ == "__main__":
    main()
