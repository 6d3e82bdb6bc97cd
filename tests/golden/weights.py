"""Weights by rule: every entry of a model's state_dict is drawn from its own name.

Needs numpy only.  Nothing is stored: the value of an entry depends on its NAME and SHAPE alone,
not on the order of the entries, not on the other entries, not on the module class.

    g = numpy.random.Generator(numpy.random.PCG64(zlib.crc32(name.encode())))

`last` is the part of the name after the last dot, `parent` the part before it.  The first rule that fits wins:

 1  last in KEPT (constructed integer tables)          not touched: make() returns None
 2  last == 'num_batches_tracked'                      0 (int64)
 3  last == 'running_var'                              uniform(0.5, 1.5)
 4  last == 'running_mean'                             0.1 * normal
 5  table (TABLES fits the name)                       std * normal, std from TABLES
 6  last ends with 'bias'                              0.02 * normal + shift, shift from GAINS (0 where nothing fits)
 7  ndim <= 1 (norm weights, layer scales, scalars)    uniform(0.8, 1.2)
 8  everything else (ndim >= 2)                        gain / sqrt(fan_in) * centred normal,
                                                       fan_in = prod(shape[1:]), gain from GAINS, else GAIN

"normal" is g.standard_normal(shape), rounded to a multiple of 2**-20.  "centred" means that the mean over all axes
but the first is subtracted, where fan_in >= 16: without it the positive mean of every ReLU output would drown
the part that depends on the picture.  The rounding makes the sum behind that mean exact, so that the result does
not depend on the order of summation or on the platform; the same goes for the tails of the normal draws.
All arithmetic is float64; the last step is one rounding to float32.

GAINS lists the exceptions: the last layer of residual and attention branches (smaller, so that activations and
rounding noise do not grow with depth) and the layers that end in scores, boxes or maps (chosen so that scores spread,
both high and low ones, and box deltas stay small).
"""

import hashlib
import re
import zlib

import numpy as np

KEPT = ("relative_position_index", "relative_coords_table", "attn_mask")

GAIN = 1.2

# name pattern (re.search) -> std
TABLES = (
    (r"(^|\.)query_embedding\.weight$", 1.0),
    (r"(^|\.)(pos_embed|cls_token|absolute_pos_embed|relative_position_bias_table)$", 0.02),
)

# pattern on the parent name (re.search) -> (gain of the weight, shift of the bias); first fit wins
GAINS = (
    # last conv of a bottleneck branch: small, so that rounding noise does not grow with depth
    (r"layer\d+\.\d+\.conv3$", 0.8, 0.0),
    # the same for networks with parallel branches
    (r"branches\.\d+\.\d+\.conv2$", 0.6, 0.0),
    (r"fuse_layers\.", 0.4, 0.0),
    # last linear map of an attention branch: small, so that the average over tokens does not drown the tokens
    # (queries, in turn, differ by what they look at)
    (r"cross_attn.*\.out_proj$", 3.0, 0.0),
    (r"attn.*\.(out_proj|proj)$", 0.3, 0.0),
    # query-based heads: boxes are sigmoid(fc_reg)
    (r"^bbox_head\.fc_cls$", 2.0, 0.0),
    (r"^bbox_head\.fc_reg$", 3.0, 0.0),
    # two-stage heads
    (r"(^|\.)rpn_cls$", 0.6, -1.0),
    (r"(^|\.)rpn_reg$", 0.2, 0.0),
    (r"(^|\.)fc_cls$", 3.0, 0.0),
    (r"(^|\.)fc_reg$", 0.4, 0.0),
    (r"(^|\.)conv_logits$", 3.0, 0.0),
    # dense one-stage heads: scores are sigmoid(cls)
    (r"_cls$", 3.0, -4.0),
    (r"(^|\.)retina_reg$", 0.3, 0.0),
    (r"_reg$", 1.0, 3.0),
    # classifiers
    (r"^head\.(fc|layers\.head)$", 10.0, 0.0),
)


def generator(name):
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def _normal(g, shape):
    return np.rint(g.standard_normal(shape) * 2.0**20) / 2.0**20


def _gain(parent):
    for pattern, gain, shift in GAINS:
        if re.search(pattern, parent):
            return gain, shift
    return None


def make(name, shape):
    """The array for one entry (float32; int64 for num_batches_tracked), or None if the entry keeps its value."""
    shape = tuple(int(s) for s in shape)
    parent, _, last = name.rpartition(".")
    if last in KEPT:
        return None
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    g = generator(name)
    if last == "running_var":
        a = g.uniform(0.5, 1.5, shape)
    elif last == "running_mean":
        a = 0.1 * _normal(g, shape)
    else:
        for pattern, std in TABLES:
            if re.search(pattern, name):
                a = std * _normal(g, shape)
                break
        else:
            if last.endswith("bias"):
                found = _gain(parent)
                a = 0.02 * _normal(g, shape) + (found[1] if found else 0.0)
            elif len(shape) <= 1:
                a = g.uniform(0.8, 1.2, shape)
            else:
                fan_in = int(np.prod(shape[1:]))
                found = _gain(parent)
                a = _normal(g, shape)
                if fan_in >= 16:
                    axes = tuple(range(1, len(shape)))
                    a = a - a.sum(axis=axes, keepdims=True) / fan_in
                a = a * ((found[0] if found else GAIN) / np.sqrt(float(fan_in)))
    return np.asarray(a, dtype=np.float32)


def make_all(shapes):
    """{name: shape} -> {name: array}, without the entries that keep their values."""
    out = {}
    for name, shape in shapes.items():
        a = make(name, shape)
        if a is not None:
            out[name] = a
    return out


def digest(arrays):
    """sha256 over the entries in sorted order of their names: name, NUL, little-endian bytes (C order)."""
    h = hashlib.sha256()
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        h.update(name.encode() + b"\0" + a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes())
    return h.hexdigest()
