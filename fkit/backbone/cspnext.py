"""The plan of CSPNeXt (Lyu et al. 2022) and CSPDarknet (Bochkovskiy et al. 2020): their stages, and what each is made of."""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from frozendict import frozendict

from fkit.tree.error import FkitValueError

__all__ = ["CSP_INIT", "CSPStage", "csp_stages"]

CSP_INIT: Final = frozendict(
    type="Kaiming", layer="Conv2d", a=math.sqrt(5), distribution="uniform", mode="fan_in", nonlinearity="leaky_relu"
)
# by network and name: (channels in, out, blocks, whether blocks add their input, whether it pools), of each stage
_ARCHS: Final[Any] = frozendict(
    CSPNeXt=frozendict(
        P5=((64, 128, 3, True, False), (128, 256, 6, True, False), (256, 512, 6, True, False), (512, 1024, 3, False, True)),
        P6=(
            (64, 128, 3, True, False), (128, 256, 6, True, False), (256, 512, 6, True, False), (512, 768, 3, True, False),
            (768, 1024, 3, False, True),
        ),
    ),
    CSPDarknet=frozendict(
        P5=((64, 128, 3, True, False), (128, 256, 9, True, False), (256, 512, 9, True, False), (512, 1024, 3, False, True)),
        P6=(
            (64, 128, 3, True, False), (128, 256, 9, True, False), (256, 512, 9, True, False), (512, 768, 3, True, False),
            (768, 1024, 3, False, True),
        ),
    ),
)  # fmt: skip


class CSPStage(NamedTuple):
    """A stage: a convolution with a stride of 2, perhaps pooling, and a `CSPLayer` of ``blocks`` blocks."""

    inner: int
    width: int
    blocks: int
    identity: bool
    pools: bool


def csp_stages(
    who: str, arch: str, given: Any, deepen: float, widen: float, out_indices: Sequence[int], frozen: int
) -> tuple[int, tuple[CSPStage, ...]]:
    """The stem's channels and the stages.

    Args:
        who: "CSPNeXt" or "CSPDarknet".
        given: stages in place of ``arch``'s.
        deepen, widen: factors of blocks and of channels.

    Raises:
        FkitValueError: an unknown ``arch``, or stages that are not there.

    Example:
        >>> stem, stages = csp_stages("CSPNeXt", "P5", None, 0.33, 0.5, (4,), -1)
        >>> stem, stages[-1]
        (32, CSPStage(inner=256, width=512, blocks=1, identity=False, pools=True))
    """
    if not given and arch not in _ARCHS[who]:
        raise FkitValueError(f"{who}: arch={arch!r} is unknown.", value=str(arch), choices=_ARCHS[who], label="Archs")
    rows = given or _ARCHS[who][arch]
    for name, places in (("out_indices", out_indices), ("frozen_stages", (frozen,))):
        least = -1 if name == "frozen_stages" else 0
        if any(not least <= place <= len(rows) for place in places):
            raise FkitValueError(f"{who}: {name}={places!r}, but there are {len(rows)} stages behind the stem, 0.")
    stages = tuple(
        CSPStage(int(inner * widen), int(out * widen), max(round(blocks * deepen), 1), bool(identity), bool(pools))
        for inner, out, blocks, identity, pools in rows
    )
    return int(rows[0][0] * widen), stages
