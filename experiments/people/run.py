"""People found by a detector, and the pose of each by a top-down estimator, drawn into their pictures.

    python experiments/people/run.py DETECTOR ESTIMATOR IMAGE [IMAGE ...] [--weights DETECTOR.pth ESTIMATOR.pth] [--out FOLDER]

DETECTOR and ESTIMATOR are configs, MMDetection's and MMPose's or one's own; without weights both are as their seed draws them, and
find nothing of use.

example: python experiments/people/run.py faster-rcnn_r50_fpn_1x_coco.py td-hm_hrnet-w32_8xb64-210e_coco-256x192.py street.jpg \\
             --weights faster_rcnn_r50.pth hrnet_w32.pth
"""

import argparse
from pathlib import Path

import numpy as np

import fkit
from fkit.edge.pose import vis_pose_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", help="config of a detector")
    parser.add_argument("estimator", help="config of a top-down estimator")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--weights", nargs=2, default=(None, None), metavar=("DETECTOR", "ESTIMATOR"))
    parser.add_argument("--label", type=int, default=0, help="of people, among the detector's classes (default: 0)")
    parser.add_argument("--score", type=float, default=0.3, help="the least score of a person (default: 0.3)")
    parser.add_argument("--backend", choices=("torch", "jax"), default="torch")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/people"))
    args = parser.parse_args()
    detector = fkit.init_detector(args.detector, args.weights[0], backend=args.backend)
    estimator = fkit.init_model(args.estimator, args.weights[1], backend=args.backend)
    for image in args.images:
        found = fkit.inference_detector(detector, image).pred_instances
        people = (np.asarray(found.labels) == args.label) & (np.asarray(found.scores) >= args.score)
        poses = fkit.inference_topdown(estimator, image, np.asarray(found.bboxes)[people])
        place = args.out / f"{Path(image).stem}.png"
        vis_pose_result(estimator, image, poses, out_file=place)
        print(f"{image}: {len(poses)} people -> {place}")


if __name__ == "__main__":
    main()
