"""Make data/ of a COCO folder of nuclei: pictures as JPEG, and of each a map that is 1 where a nucleus is and 0 elsewhere, as PNG.

    python experiments/nuclei/make_data.py FOLDER        (FOLDER/annotations/{train,val}.json and FOLDER/images)

What ships here was made so, of 200 pictures of the 2018 Data Science Bowl (see data/LICENSE.md).
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as rle

HERE = Path(__file__).parent / "data"
QUALITY = 95


def main(folder: Path) -> None:
    for part in ("train", "val"):
        book = json.loads((folder / "annotations" / f"{part}.json").read_text())
        for image in book["images"]:
            picture = cv2.imread(str(folder / "images" / image["file_name"]))
            covered = np.zeros(picture.shape[:2], np.uint8)
            for one in book["annotations"]:
                if one["image_id"] == image["id"]:
                    covered |= rle.decode(one["segmentation"])
            name = Path(image["file_name"]).stem
            for kind, ending, array, words in (
                ("images", ".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]),
                ("masks", ".png", covered, [cv2.IMWRITE_PNG_BILEVEL, 0, cv2.IMWRITE_PNG_COMPRESSION, 9]),
            ):
                path = HERE / kind / part / (name + ending)
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), array, words)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
