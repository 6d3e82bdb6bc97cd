"""Train the detector of blood cells, test it, and draw what it finds on pictures that it has not seen, beside the truth.

    python experiments/cells/run.py [--config detr.py] [--work-dir DIR] [--backend torch|jax] [--epochs N]

Prints COCO's average precision; DIR/found.png has nine pictures: what is found (score in percent), the truth beside it.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import fkit
from fkit.structures import DetDataSample, InstanceData
from fkit.visualize import show_result

HERE = Path(__file__).parent
SHOWN, COLUMNS = 9, 3
SCORE = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default="config.py")
    parser.add_argument("--work-dir", default="work_dirs/cells")
    parser.add_argument("--backend", choices=("torch", "jax"), default="torch")
    parser.add_argument("--epochs", type=int, help="in place of the config's")
    args = parser.parse_args()
    folder = Path(args.work_dir).resolve()
    os.chdir(HERE)  # the config's paths begin here
    words: dict[str, Any] = {"work_dir": str(folder), "backend": args.backend}
    if args.epochs:
        words |= {"train_cfg.max_epochs": args.epochs, "param_scheduler": []}
    cfg = fkit.load_config(args.config).merge(words)
    start = time.monotonic()
    fkit.run_config(cfg)
    print(f"trained in {time.monotonic() - start:.0f} seconds")
    for name, value in fkit.test_config(cfg, folder).items():
        print(f"{name}: {value:.3f}")
    picture = folder / "found.png"
    cv2.imwrite(str(picture), sheet(fkit.init_detector(cfg, folder)))
    print(f"what it finds, and the truth: {picture}")


def sheet(detector: Any) -> np.ndarray:
    """Pictures of the held-out part in pairs: what is found, and the truth."""
    dataset = fkit.build(detector.cfg["test_dataloader"]["dataset"], detector.registry, "datasets", scope="mmdet")
    records = [dataset.get_data_info(place) for place in range(SHOWN)]
    found = fkit.inference_detector(detector, [one["img_path"] for one in records])
    pairs: list[np.ndarray] = []
    for record, sample in zip(records, found, strict=True):
        said = detector.show_result(record["img_path"], sample, SCORE)
        boxes = np.array([one["bbox"] for one in record["instances"]], np.float32).reshape(-1, 4)
        labels = np.array([one["bbox_label"] for one in record["instances"]])
        real = show_result(
            record["img_path"],
            DetDataSample(pred_instances=InstanceData(bboxes=boxes, labels=labels)),
            classes=detector.classes,
        )
        pairs.append(np.concatenate([said, np.full((said.shape[0], 4, 3), 255, np.uint8), real], 1))
    edged = [cv2.copyMakeBorder(pair, 6, 6, 6, 6, cv2.BORDER_CONSTANT, value=(255, 255, 255)) for pair in pairs]
    return np.concatenate([np.concatenate(edged[at : at + COLUMNS], 1) for at in range(0, SHOWN, COLUMNS)], 0)


if __name__ == "__main__":
    main()
