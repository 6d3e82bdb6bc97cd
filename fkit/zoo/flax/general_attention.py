"""mmcv's generalised attention, with its arguments and parameter names; channels last."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.conv import Conv2d
from fkit.backend.jax.layers import Linear
from fkit.backend.jax.resize import interpolate
from fkit.detection.general_attention import Terms, attention_start, attention_terms, check_square, distance_waves

__all__ = ["GeneralizedAttention"]

Array = jax.Array


class GeneralizedAttention(nn.Module):
    """Each position of maps (N, H, W, C) sees others by what is there and how far it is (Zhu et al. 2019); see torch's twin."""

    in_channels: int
    spatial_range: int = -1
    num_heads: int = 9
    position_embedding_dim: int = -1
    position_magnitude: int = 1
    kv_stride: int = 2
    q_stride: int = 1
    attention_type: str = "1111"
    torch_order: ClassVar[tuple[str, ...]] = (
        "appr_bias", "geom_bias", "gamma", "query_conv", "key_conv", "value_conv", "appr_geom_fc_x", "appr_geom_fc_y",
        "proj_conv",
    )  # fmt: skip

    def __post_init__(self) -> None:
        attention_terms(self.attention_type, self.spatial_range, self.waves)
        super().__post_init__()

    @property
    def waves(self) -> int:
        """Width of the waves of distances."""
        return self.position_embedding_dim if self.position_embedding_dim > 0 else self.in_channels

    @property
    def terms(self) -> Terms:
        """What attention is the sum of."""
        return attention_terms(self.attention_type, self.spatial_range, self.waves)

    @property
    def start_cfg(self) -> Any:
        """How the layers start when they are made."""
        return attention_start(self.terms)

    @property
    def dim(self) -> int:
        """Channels of a head."""
        return self.in_channels // self.num_heads

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        del train
        step = self.q_stride
        queries, keys = x[:, ::step, ::step], x[:, :: self.kv_stride, :: self.kv_stride]
        count, high, wide = queries.shape[:3]
        share = nn.softmax(self._energy(queries, keys))
        out = share @ self._apart(self._conv("value_conv", keys))
        if self.terms.alike:
            high = wide = 1
        out = out.swapaxes(1, 2).reshape(count, high, wide, -1)
        out = Conv2d(self.in_channels, (1, 1), name="proj_conv")(out)
        if step > 1:
            out = interpolate(out, x.shape[1:3], mode="bilinear", align_corners=False)
        return self.param("gamma", nn.initializers.zeros, (1,)) * out + x

    def _conv(self, name: str, x: Array) -> Array:
        return Conv2d(self.dim * self.num_heads, (1, 1), use_bias=False, name=name)(x)

    def _apart(self, x: Array) -> Array:
        """(N, heads, H W, dim)."""
        return x.reshape(x.shape[0], -1, self.num_heads, self.dim).swapaxes(1, 2)

    def _bias(self, name: str) -> Array:
        reach = (2 * self.dim) ** -0.5

        def start(key: Array, shape: tuple[int, ...]) -> Array:
            return jax.random.uniform(key, shape, minval=-reach, maxval=reach)

        return self.param(name, start, (self.dim * self.num_heads,)).reshape(1, self.num_heads, 1, self.dim)

    def _energy(self, queries: Array, keys: Array) -> Array:
        """How much each of the queries sees each of the keys, (N, heads, H W, h w); of one query where all see the same."""
        heads, terms = self.num_heads, self.terms
        count, high, wide = queries.shape[:3]
        h, w = keys.shape[1:3]
        asked: Any = self._apart(self._conv("query_conv", queries)) if terms.queries else 0
        energy: Any = 0
        if terms.keys:
            near = (asked if terms.content else 0) + (self._bias("appr_bias") if terms.key else 0)
            energy = near @ self._apart(self._conv("key_conv", keys)).swapaxes(2, 3)
        if terms.distances:
            check_square(terms, high, wide)
            far: Any = (asked if terms.place else 0) + (self._bias("geom_bias") if terms.distance else 0)
            far = jnp.broadcast_to(far, (far.shape[0], heads, high * wide, self.dim))
            far = far.reshape(-1, heads, high, wide, self.dim)
            along = jnp.einsum("nhyxd,xuhd->nhyxu", far, self._places(wide, w, "appr_geom_fc_x", queries))
            far = far.swapaxes(2, 3) if terms.turned else far
            down = jnp.einsum("nhyxd,yvhd->nhyxv", far, self._places(high, h, "appr_geom_fc_y", queries))
            energy = energy + (down[..., None] + along[..., None, :]).reshape(-1, heads, high * wide, h * w)
        return jnp.broadcast_to(energy, (count, *energy.shape[1:]))

    def _places(self, count: int, seen: int, name: str, like: Array) -> Array:
        """(count, seen, heads, dim): what distances say."""
        waves = distance_waves(count, seen, self.q_stride, self.kv_stride, self.position_magnitude, self.waves // 2)
        layer = Linear(self.dim * self.num_heads, use_bias=False, name=name)
        return layer(jnp.asarray(waves, like.dtype)).reshape(count, seen, self.num_heads, self.dim) / 2**0.5
