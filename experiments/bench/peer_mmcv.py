"""mmcv-lite's transforms on data.py's pictures, run by an interpreter of its own; data.py starts it (``--peer``).

The first line of standard input is {"rows", "scale"}; each "block" after it is answered by a line of JSON with the CPU seconds
of the chain ("mmcv") and of decoding alone ("mmcv decode").
"""

import json
import pickle
import sys
import time
import warnings
from typing import Any

warnings.simplefilter("ignore")
import cv2  # noqa: E402
import mmcv.transforms  # noqa: E402,F401
import numpy as np  # noqa: E402
from data import chain, decoding  # noqa: E402
from mmcv.transforms.builder import TRANSFORMS  # noqa: E402


def main() -> None:
    cv2.setNumThreads(1)
    np.random.seed(0)
    given = json.loads(sys.stdin.readline())
    scale = tuple(given["scale"])
    steps = [TRANSFORMS.build(step) for step in chain(scale)]
    decode = decoding(given["rows"])
    stored = [pickle.dumps(row) for row in given["rows"]]

    def mmcv_block() -> None:
        for record in stored:
            results: Any = pickle.loads(record)  # as the datasets of both sides do for each sample
            for step in steps:
                results = step(results)

    mmcv_block()
    print("{}", flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        mmcv_block()
        middle = time.process_time()
        decode()
        print(json.dumps({"mmcv": middle - start, "mmcv decode": time.process_time() - middle}), flush=True)


if __name__ == "__main__":
    main()
