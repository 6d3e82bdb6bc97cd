"""Make data/ of a COCO folder of blood cells: pictures of half the size as JPEG, and their annotations, few of each part.

    python experiments/cells/make_data.py FOLDER        (FOLDER/annotations/{train,val}.json and FOLDER/images)

What ships here was made so, of the BCCD data set (see data/LICENSE.md).
"""

import json
import sys
from pathlib import Path

import cv2

HERE = Path(__file__).parent / "data"
QUALITY = 80
HALF = 0.5
COUNTS = {"train": 160, "val": 60}


def main(folder: Path) -> None:
    for part, count in COUNTS.items():
        book = json.loads((folder / "annotations" / f"{part}.json").read_text())
        images = sorted(book["images"], key=lambda image: image["file_name"])[:count]
        ids = {image["id"] for image in images}
        (HERE / "images").mkdir(parents=True, exist_ok=True)
        for image in images:
            picture = cv2.imread(str(folder / "images" / image["file_name"]))
            size = (round(image["width"] * HALF), round(image["height"] * HALF))
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(HERE / "images" / image["file_name"]), small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            image["width"], image["height"] = size
        rows = [
            {
                "id": one["id"],
                "image_id": one["image_id"],
                "category_id": one["category_id"],
                "bbox": [value * HALF for value in one["bbox"]],
                "area": one["bbox"][2] * one["bbox"][3] * HALF * HALF,
                "iscrowd": 0,
            }
            for one in book["annotations"]
            if one["image_id"] in ids
        ]
        names = [{"id": one["id"], "name": one["name"]} for one in book["categories"]]
        kept = [{key: image[key] for key in ("id", "file_name", "width", "height")} for image in images]
        small_book = {"images": kept, "annotations": rows, "categories": names}
        (HERE / f"{part}.json").write_text(json.dumps(small_book, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
