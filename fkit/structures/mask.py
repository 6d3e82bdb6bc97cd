"""Masks of instances, by either form."""

from fkit.structures.bitmap import BitmapMasks as BitmapMasks
from fkit.structures.bitmap import boxes_of as boxes_of
from fkit.structures.coco import bitmap_to_polygon as bitmap_to_polygon
from fkit.structures.coco import bitmap_to_rle as bitmap_to_rle
from fkit.structures.coco import polygon_to_bitmap as polygon_to_bitmap
from fkit.structures.coco import rle_to_bitmap as rle_to_bitmap
from fkit.structures.polygon import PolygonMasks as PolygonMasks

__all__ = [
    "BitmapMasks",
    "Masks",
    "PolygonMasks",
    "bitmap_to_polygon",
    "bitmap_to_rle",
    "boxes_of",
    "polygon_to_bitmap",
    "rle_to_bitmap",
]

Masks = BitmapMasks | PolygonMasks
"""Masks of the objects of one picture, as `gt_masks` of a sample holds them."""
