"""DETR R50: inference at 800 x 1067, and a training step at 480 x 640, beside mmdet.

    python experiments/bench/detr.py --peer PYTHON [--backend torch jax] [--seconds S] [--threads N] [--call inference training]

What detection.py times of Faster R-CNN, of `configs/_base_/models/detr_r50.py`: see there for PYTHON, and for what both sides are
given.
"""

import sys
from pathlib import Path

import detection

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "_base_" / "models" / "detr_r50.py"


if __name__ == "__main__":
    sys.argv += ["--config", str(CONFIG)]
    raise SystemExit(detection.main())
