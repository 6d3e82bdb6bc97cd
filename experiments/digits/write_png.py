"""Write held-out digits of the shipped set as PNG files: something to try ``fkit infer`` on.

Command: python experiments/digits/write_png.py --out digits
Each file is 64x64, white ink on black; the name holds the true label and the sample's number: 7_0031.png.
"""

import argparse
from pathlib import Path

import cv2

from fkit.data.dataset import Digits
from fkit.image.io import imwrite
from fkit.visualize.visualizer import picture


def main() -> None:
    """Write the first digit of each class, or ``--count`` of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("digits"), help="folder to write to")
    parser.add_argument("--count", type=int, default=1, help="digits of each class")
    args = parser.parse_args()
    digits = Digits("test")
    for label in range(10):
        places = [place for place, found in enumerate(digits.arrays.labels) if found == label]
        for place in places[: args.count]:
            img = picture(digits[place]["img"], largest=16)
            large = cv2.resize(img, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
            imwrite(large, args.out / f"{label}_{place:04d}.png")
    print(f"wrote {10 * args.count} digits to {args.out}")


if __name__ == "__main__":
    main()
