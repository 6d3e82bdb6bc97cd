"""Optical flow: files, quantising, warping. A flow is (H, W, 2): dx to the right and dy downwards, in pixels."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import array, bytes_of, finite, local, number
from fkit.image.array import dequantize, quantize
from fkit.image.io import imread, imwrite
from fkit.image.refuse import Image, form, image, is_a, one_of, refusing
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, FkitTypeError, FkitValueError

__all__ = [
    "dequantize_flow",
    "flow_from_bytes",
    "flow_warp",
    "flowread",
    "flowwrite",
    "quantize_flow",
    "sparse_flow_from_bytes",
]

_MAGIC = b"PIEH"  # the float 202021.25 in little-endian bytes, which opens a .flo file
_LEVELS = 255
_NUDGE = 1e-6  # px


def flowread(
    flow_or_path: NDArray[Any] | str | Path,
    quantize: bool = False,
    concat_axis: int = 0,
    max_val: float = 0.02,
    denorm: bool = True,
) -> NDArray[Any]:
    """Read a flow from a ``.flo`` file, or from a grey picture that holds dx and dy side by side.

    Args:
        flow_or_path: a path, or a flow (H, W, 2), which is returned as it is.
        quantize: the file is a picture that ``flowwrite(quantize=True)`` wrote.
        concat_axis: the axis along which dx and dy were joined: 0 or 1.
        max_val: as given to ``quantize_flow``.
        denorm: as ``dequantize_flow``.

    Returns:
        (H, W, 2) float32, pixels.

    Raises:
        FkitFileNotFoundError: no such file.
        FkitOSError: a file that is no flow; the message names it.
        FkitTypeError, FkitValueError: an argument that is neither path nor flow.

    Example:
        >>> flowread(np.zeros((4, 5, 2), np.float32)).shape
        (4, 5, 2)
    """
    if isinstance(flow_or_path, np.ndarray):
        return _flow("flowread", flow_or_path)
    if not is_a(flow_or_path, str, Path):
        raise FkitTypeError(f"flowread takes a path or an array; got {form(flow_or_path)}.")
    if not quantize:
        try:
            return flow_from_bytes(Path(local("flowread", "flow_or_path", flow_or_path)).read_bytes())
        except FkitValueError as cause:
            raise FkitOSError(f"{flow_or_path} is no flow file: {cause.what}") from cause
        except FileNotFoundError as cause:
            raise FkitFileNotFoundError(f"{flow_or_path} is not there.") from cause
        except OSError as cause:
            raise FkitOSError(f"{flow_or_path} cannot be read: {cause}.") from cause
    if concat_axis not in (0, 1):
        raise FkitValueError(f"flowread: concat_axis must be 0 or 1; got {concat_axis}.")
    both = imread(flow_or_path, "unchanged")
    if both.ndim != 2 or both.shape[concat_axis] % 2:
        raise FkitOSError(f"{flow_or_path} is no quantised flow: {form(both)} does not split into dx and dy.")
    dx, dy = np.split(both, 2, axis=concat_axis)
    return dequantize_flow(dx, dy, max_val, denorm).astype(np.float32)


def flowwrite(
    flow: NDArray[Any],
    filename: str | Path,
    quantize: bool = False,
    concat_axis: int = 0,
    max_val: float = 0.02,
    norm: bool = True,
) -> None:
    """Write a flow as a ``.flo`` file, or quantised as a grey picture.

    Args:
        flow: (H, W, 2), pixels.
        filename: where; with ``quantize`` its suffix names the picture's format.
        quantize: write dx and dy as one picture of 8 bits, joined along ``concat_axis``.
        concat_axis: 0 (dx above dy) or 1 (dx left of dy).
        max_val: as ``quantize_flow``.
        norm: as ``quantize_flow``.

    Raises:
        FkitOSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.flo"
        >>> flowwrite(np.ones((4, 5, 2), np.float32), path)
        >>> flowread(path).sum()
        np.float32(40.0)
    """
    flow = _flow("flowwrite", flow)
    if quantize:
        if concat_axis not in (0, 1):
            raise FkitValueError(f"flowwrite: concat_axis must be 0 or 1; got {concat_axis}.")
        imwrite(np.concatenate(quantize_flow(flow, max_val, norm), axis=concat_axis), filename)
        return
    path = Path(local("flowwrite", "filename", filename))
    size = np.array([flow.shape[1], flow.shape[0]], "<i4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            file.write(_MAGIC + size.tobytes())
            file.write(np.ascontiguousarray(flow, "<f4").data)
    except OSError as cause:
        raise FkitOSError(f"flowwrite cannot write {filename}: {cause}.") from cause


def quantize_flow(flow: NDArray[Any], max_val: float = 0.02, norm: bool = True) -> tuple[Image, Image]:
    """Cut a flow to [-max_val, max_val] and number 255 levels of it.

    Args:
        flow: (H, W, 2), pixels.
        max_val: the largest length kept, after norming.
        norm: divide dx by the width and dy by the height first.

    Returns:
        (dx, dy), each (H, W) uint8 in 0..254.

    Example:
        >>> dx, dy = quantize_flow(np.zeros((4, 5, 2)))
        >>> int(dx[0, 0])
        127
    """
    flow = _flow("quantize_flow", flow)
    finite("quantize_flow", "max_val", max_val)
    dx, dy = flow[..., 0], flow[..., 1]
    if norm:
        dx, dy = dx / flow.shape[1], dy / flow.shape[0]
    return (
        quantize(dx, -max_val, max_val, _LEVELS, np.uint8),
        quantize(dy, -max_val, max_val, _LEVELS, np.uint8),
    )


def dequantize_flow(dx: Image, dy: Image, max_val: float = 0.02, denorm: bool = True) -> NDArray[np.float64]:
    """The flow that two quantised pictures stand for.

    Args:
        dx: (H, W) or (H, W, 1), levels in 0..254.
        dy: (H, W), likewise.
        max_val: as given to ``quantize_flow``.
        denorm: multiply dx by the width and dy by the height.

    Returns:
        (H, W, 2) float64, pixels.

    Raises:
        FkitTypeError: no arrays.
        FkitValueError: pictures of different shapes, or of several channels.

    Example:
        >>> level = np.full((4, 5), 127, np.uint8)
        >>> float(np.abs(dequantize_flow(level, level)).max())
        0.0
    """
    finite("dequantize_flow", "max_val", max_val)
    grey = [array("dequantize_flow", name, part) for name, part in (("dx", dx), ("dy", dy))]
    if dx.shape != dy.shape or not (dx.ndim == 2 or (dx.ndim == 3 and dx.shape[2] == 1)):
        raise FkitValueError(f"dequantize_flow takes two (H, W) of one shape; got {form(dx)} and {form(dy)}.")
    dx, dy = (part if part.ndim == 2 else part[..., 0] for part in grey)
    out = np.empty((*dx.shape, 2))
    for axis, (part, side) in enumerate(((dx, dx.shape[1]), (dy, dx.shape[0]))):
        np.multiply(dequantize(part, -max_val, max_val, _LEVELS), side if denorm else 1, out=out[..., axis])
    return out


def flow_warp(img: Image, flow: NDArray[Any], filling_value: float = 0, interpolate_mode: str = "nearest") -> Image:
    """Fetch for each pixel (x, y) the value at (x + dx, y + dy). Numbers as mmcv's ``flow_warp``.

    As there, "bilinear" looks 1e-6 px further right and down, and the last row and column are never looked at.

    Args:
        img: (H, W, C), any real dtype.
        flow: (H, W, 2), pixels.
        filling_value: where that point lies outside 0 <= x < W - 1, 0 <= y < H - 1, or is NaN.
        interpolate_mode: "nearest" or "bilinear".

    Returns:
        (H, W, C), dtype of ``img``.

    Raises:
        FkitValueError: an unknown mode, or shapes that do not fit.

    Example:
        >>> img = np.arange(8.0).reshape(2, 4, 1)
        >>> flow_warp(img, np.tile([1.0, 0.0], (2, 4, 1)), filling_value=9)[..., 0].tolist()
        [[1.0, 2.0, 9.0, 9.0], [9.0, 9.0, 9.0, 9.0]]
    """
    one_of("flow_warp", "interpolate_mode", interpolate_mode, ("nearest", "bilinear"))
    flow = _flow("flow_warp", flow)
    array("flow_warp", "img", img)
    number("flow_warp", "filling_value", filling_value, nan=True)
    if image("flow_warp", img).ndim != 3 or img.shape[:2] != flow.shape[:2]:
        raise FkitValueError(
            f"flow_warp takes an image (H, W, C) of the flow's size; got {form(img)} and {form(flow)}."
        )
    height, width, channels = img.shape
    x = np.asarray(flow[..., 0] + np.arange(width), np.float64)
    y = np.asarray(flow[..., 1] + np.arange(height)[:, None], np.float64)
    valid = (x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1)
    x, y, pixels = x[valid], y[valid], img.reshape(height * width, channels)
    try:
        out = np.full(img.shape, filling_value, img.dtype)
    except (OverflowError, ValueError) as cause:
        raise FkitValueError(f"flow_warp: filling_value = {filling_value} does not fit {form(img)}.") from cause
    if interpolate_mode == "nearest":
        out[valid] = pixels.take(np.rint(y).astype(np.intp) * width + np.rint(x).astype(np.intp), axis=0)
    else:
        out[valid] = _between(pixels, x + _NUDGE, y + _NUDGE, (height, width)).astype(img.dtype)
    return out


def flow_from_bytes(content: bytes) -> NDArray[np.float32]:
    """The flow that the bytes of a ``.flo`` file hold.

    Args:
        content: "PIEH", width and height as int32, then dx and dy of each pixel as float32, little-endian.

    Returns:
        (H, W, 2) float32, pixels.

    Raises:
        FkitValueError: another header, or too few bytes.

    Example:
        >>> flow_from_bytes(b"PIEH" + bytes([1, 0, 0, 0, 1, 0, 0, 0]) + bytes(8)).tolist()
        [[[0.0, 0.0]]]
    """
    content = bytes_of("flow_from_bytes", content)
    if content[:4] != _MAGIC or len(content) < 12:
        raise FkitValueError(f"A .flo file opens with {_MAGIC!r} and its size; this starts with {content[:4]!r}.")
    width, height = (int(n) for n in np.frombuffer(content, "<i4", 2, offset=4))
    if width < 0 or height < 0 or len(content) < 12 + 8 * width * height:
        raise FkitValueError(f"This .flo content of {len(content)} bytes is too short for {width} x {height} vectors.")
    flow = np.frombuffer(content, "<f4", 2 * width * height, offset=12)
    return flow.reshape(height, width, 2).astype(np.float32)


def sparse_flow_from_bytes(content: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The flow and its mask that the bytes of a KITTI flow picture hold: ``(value - 2^15) / 64``.

    Args:
        content: a PNG of three channels, 16 bits: dx, dy, valid (as RGB).

    Returns:
        (H, W, 2) float32, pixels, and (H, W) float32, 1 where the flow is known.

    Raises:
        FkitValueError: no picture of three channels.

    Example:
        >>> png = cv2.imencode(".png", np.full((2, 3, 3), [1, 2**15, 2**15 + 64], np.uint16))[1].tobytes()
        >>> flow, valid = sparse_flow_from_bytes(png)
        >>> flow[0, 0].tolist(), float(valid[0, 0])
        ([1.0, 0.0], 1.0)
    """
    content = bytes_of("sparse_flow_from_bytes", content)
    with refusing("sparse_flow_from_bytes", content):
        packed: Any = (
            cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR) if content else None
        )
    if packed is None:
        raise FkitValueError(f"These {len(content)} bytes are no picture, so no sparse flow.")
    values = np.asarray(cv2.cvtColor(packed, cv2.COLOR_BGR2RGB), np.float32)
    return (values[:, :, :2] - 2**15) / 64.0, values[:, :, 2]


def _between(pixels: NDArray[Any], x: NDArray[Any], y: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float64]:
    """Bilinear values at N points: (N, C) float64; ``pixels`` are the (H * W, C) of the picture."""
    height, width = size
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    by_x, by_y = (x - left)[:, None], (y - top)[:, None]
    right, low = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    # the order of the products and sums is mmcv's: where neighbours are equal it decides the grey level
    out = np.asarray(pixels.take(top * width + left, axis=0) * (1 - by_y) * (1 - by_x), np.float64)
    out += pixels.take(low * width + left, axis=0) * by_y * (1 - by_x)
    out += pixels.take(top * width + right, axis=0) * (1 - by_y) * by_x
    out += pixels.take(low * width + right, axis=0) * by_y * by_x
    return out


def _flow(name: str, flow: NDArray[Any]) -> NDArray[Any]:
    if array(name, "flow", flow).ndim != 3 or flow.shape[2] != 2:
        raise FkitValueError(f"{name} takes a flow (H, W, 2); got {form(flow)}.")
    return flow
