"""Pictures and videos on numpy arrays, over OpenCV, under mmcv's names: (H, W, 3) uint8 BGR unless said otherwise.

Names are loaded when they are first asked for: importing this package loads neither OpenCV nor Pillow. The functions
are pure, but for ``imflip_`` and ``imnormalize_``, which write into their argument, and what opens a window or a file.
"""

from typing import TYPE_CHECKING, Any

from fkit.tree.facade import attribute

if TYPE_CHECKING:
    from fkit.image.array import dequantize as dequantize
    from fkit.image.array import quantize as quantize
    from fkit.image.array import tensor2imgs as tensor2imgs
    from fkit.image.chain import preprocess as preprocess
    from fkit.image.clip import concat_video as concat_video
    from fkit.image.clip import convert_video as convert_video
    from fkit.image.clip import cut_video as cut_video
    from fkit.image.clip import frames2video as frames2video
    from fkit.image.clip import resize_video as resize_video
    from fkit.image.colour import bgr2gray as bgr2gray
    from fkit.image.colour import bgr2hls as bgr2hls
    from fkit.image.colour import bgr2hsv as bgr2hsv
    from fkit.image.colour import bgr2rgb as bgr2rgb
    from fkit.image.colour import gray2bgr as gray2bgr
    from fkit.image.colour import gray2rgb as gray2rgb
    from fkit.image.colour import hls2bgr as hls2bgr
    from fkit.image.colour import hsv2bgr as hsv2bgr
    from fkit.image.colour import imconvert as imconvert
    from fkit.image.colour import rgb2bgr as rgb2bgr
    from fkit.image.colour import rgb2gray as rgb2gray
    from fkit.image.crop import bbox_clip as bbox_clip
    from fkit.image.crop import bbox_scaling as bbox_scaling
    from fkit.image.crop import cutout as cutout
    from fkit.image.crop import cutout_at as cutout_at
    from fkit.image.crop import draw_cutout as draw_cutout
    from fkit.image.crop import imcrop as imcrop
    from fkit.image.draw import Color as Color
    from fkit.image.draw import color_val as color_val
    from fkit.image.draw import imshow_bboxes as imshow_bboxes
    from fkit.image.draw import imshow_det_bboxes as imshow_det_bboxes
    from fkit.image.flow import dequantize_flow as dequantize_flow
    from fkit.image.flow import flow_from_bytes as flow_from_bytes
    from fkit.image.flow import flow_warp as flow_warp
    from fkit.image.flow import flowread as flowread
    from fkit.image.flow import flowwrite as flowwrite
    from fkit.image.flow import quantize_flow as quantize_flow
    from fkit.image.flow import sparse_flow_from_bytes as sparse_flow_from_bytes
    from fkit.image.histogram import auto_contrast as auto_contrast
    from fkit.image.histogram import clahe as clahe
    from fkit.image.histogram import imequalize as imequalize
    from fkit.image.io import imfrombytes as imfrombytes
    from fkit.image.io import imread as imread
    from fkit.image.io import imwrite as imwrite
    from fkit.image.io import supported_backends as supported_backends
    from fkit.image.pad import impad as impad
    from fkit.image.pad import impad_to_multiple as impad_to_multiple
    from fkit.image.photometry import imdenormalize as imdenormalize
    from fkit.image.photometry import iminvert as iminvert
    from fkit.image.photometry import imnormalize as imnormalize
    from fkit.image.photometry import imnormalize_ as imnormalize_
    from fkit.image.photometry import lut_transform as lut_transform
    from fkit.image.photometry import posterize as posterize
    from fkit.image.photometry import solarize as solarize
    from fkit.image.resize import imrescale as imrescale
    from fkit.image.resize import imresize as imresize
    from fkit.image.resize import imresize_like as imresize_like
    from fkit.image.resize import imresize_to_multiple as imresize_to_multiple
    from fkit.image.resize import rescale_size as rescale_size
    from fkit.image.show import flowshow as flowshow
    from fkit.image.show import imshow as imshow
    from fkit.image.tone import adjust_brightness as adjust_brightness
    from fkit.image.tone import adjust_color as adjust_color
    from fkit.image.tone import adjust_contrast as adjust_contrast
    from fkit.image.tone import adjust_hue as adjust_hue
    from fkit.image.tone import adjust_lighting as adjust_lighting
    from fkit.image.tone import adjust_sharpness as adjust_sharpness
    from fkit.image.tone import draw_lighting as draw_lighting
    from fkit.image.tone import light as light
    from fkit.image.video import Cache as Cache
    from fkit.image.video import VideoReader as VideoReader
    from fkit.image.warp import imflip as imflip
    from fkit.image.warp import imflip_ as imflip_
    from fkit.image.warp import imrotate as imrotate
    from fkit.image.warp import imshear as imshear
    from fkit.image.warp import imtranslate as imtranslate
    from fkit.image.wheel import flow2rgb as flow2rgb
    from fkit.image.wheel import make_color_wheel as make_color_wheel
    from fkit.image.writer import opened_writer as opened_writer
    from fkit.image.ycbcr import bgr2ycbcr as bgr2ycbcr
    from fkit.image.ycbcr import rgb2ycbcr as rgb2ycbcr
    from fkit.image.ycbcr import ycbcr2bgr as ycbcr2bgr
    from fkit.image.ycbcr import ycbcr2rgb as ycbcr2rgb

# module, and the names it gives; tuples, for nothing at module level is mutable
_FILES = (
    ("io", "imfrombytes imread imwrite supported_backends"),
    ("colour", "bgr2gray bgr2hls bgr2hsv bgr2rgb gray2bgr gray2rgb hls2bgr hsv2bgr imconvert rgb2bgr rgb2gray"),
    ("ycbcr", "bgr2ycbcr rgb2ycbcr ycbcr2bgr ycbcr2rgb"),
    ("resize", "imrescale imresize imresize_like imresize_to_multiple rescale_size"),
    ("warp", "imflip imflip_ imrotate imshear imtranslate"),
    ("crop", "bbox_clip bbox_scaling cutout cutout_at draw_cutout imcrop"),
    ("pad", "impad impad_to_multiple"),
    ("photometry", "imdenormalize iminvert imnormalize imnormalize_ lut_transform posterize solarize"),
    (
        "tone",
        "adjust_brightness adjust_color adjust_contrast adjust_hue adjust_lighting adjust_sharpness draw_lighting light",
    ),
    ("histogram", "auto_contrast clahe imequalize"),
    ("chain", "preprocess"),
    ("array", "dequantize quantize tensor2imgs"),
    ("video", "Cache VideoReader"),
    ("clip", "concat_video convert_video cut_video frames2video resize_video"),
    ("writer", "opened_writer"),
    ("flow", "dequantize_flow flow_from_bytes flow_warp flowread flowwrite quantize_flow sparse_flow_from_bytes"),
    ("wheel", "flow2rgb make_color_wheel"),
    ("draw", "Color color_val imshow_bboxes imshow_det_bboxes"),
    ("show", "flowshow imshow"),
)

_NAMES = tuple((name, f"fkit.image.{file}:{name}") for file, names in _FILES for name in names.split())
_INSTEAD = (("use_backend", "Pass backend='pillow' to the function: there is no global switch."),)

__all__ = tuple(name for name, _ in _NAMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    return attribute(__name__, name, _NAMES, _INSTEAD, ("fkit", "fkit.fileio", "fkit.structures", "fkit.compat"))


def __dir__() -> list[str]:
    return sorted(__all__)
