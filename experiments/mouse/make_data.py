"""Make data/ of a COCO folder of mice: pictures of half the size as JPEG, and their annotations.

    python experiments/mouse/make_data.py FOLDER        (FOLDER/annotations/{train,val}.json and FOLDER/images)

What ships here was made so, of lightning-pose's mirror-mouse example (see data/LICENSE.md).
"""

import json
import sys
from pathlib import Path

import cv2

HERE = Path(__file__).parent / "data"
QUALITY = 85
HALF = 0.5


def main(folder: Path) -> None:
    (HERE / "images").mkdir(parents=True, exist_ok=True)
    for part in ("train", "val"):
        book = json.loads((folder / "annotations" / f"{part}.json").read_text())
        images = []
        for image in book["images"]:
            picture = cv2.imread(str(folder / "images" / image["file_name"]), cv2.IMREAD_GRAYSCALE)
            size = (round(image["width"] * HALF), round(image["height"] * HALF))
            name = f"{Path(image['file_name']).stem}.jpg"
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(HERE / "images" / name), small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            images.append({"id": image["id"], "file_name": name, "width": size[0], "height": size[1]})
        rows = [
            {
                **{key: one[key] for key in ("id", "image_id", "category_id", "iscrowd", "num_keypoints")},
                "bbox": [round(value * HALF, 3) for value in one["bbox"]],
                "area": round(one["area"] * HALF * HALF, 3),
                "keypoints": [value if at % 3 == 2 else value * HALF for at, value in enumerate(one["keypoints"])],
            }
            for one in book["annotations"]
        ]
        names = [{key: one[key] for key in ("id", "name", "keypoints", "skeleton")} for one in book["categories"]]
        small_book = {"images": images, "annotations": rows, "categories": names}
        (HERE / f"{part}.json").write_text(json.dumps(small_book, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
