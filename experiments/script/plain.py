"""A plain training: a config with two numbers changed, trained in a work folder, and scored.

Command: python experiments/script/plain.py
Time: about 3 s on one core of a CPU.
"""

import sys
from pathlib import Path

import fkit

CONFIG = Path(__file__).parents[2] / "configs/digits/mlp.py"


def main(work_dir: str = "work_dirs/plain", epochs: int = 8) -> dict[str, float]:
    """The scores on the 360 held-out digits."""
    cfg = fkit.load_config(CONFIG).merge(
        {
            "work_dir": work_dir,
            "train_cfg.max_epochs": epochs,
            "optim_wrapper.optimizer.lr": 0.01,
            "param_scheduler": None,
        }
    )
    run = fkit.run_config(cfg)
    print(f"trained: {dict(run.metrics)} after {run.iteration} iterations")
    scores = dict(fkit.test_config(cfg, work_dir))
    print(f"tested: {scores}")
    return scores


if __name__ == "__main__":
    main(*sys.argv[1:])
