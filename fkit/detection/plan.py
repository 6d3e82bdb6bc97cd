"""What layers a dense head has, in words: each backend makes its own of them."""

from typing import Any, NamedTuple

__all__ = ["Output", "Plan", "Tower"]


class Tower(NamedTuple):
    """Convolutions one behind the other, with norm and activation.

    Attributes:
        name: of the list of them, or of the one layer where ``plain``.
        depth: how many; none gives its input.
        conv_cfg, norm_cfg, bias: of each, see ``ConvModule``.
        last_cfg: of the last convolution, where it is another.
        plain: a bare convolution and a ReLU.
        first: how many from the first on are others, of ``first_cfg``.
    """

    name: str
    depth: int
    conv_cfg: Any = None
    norm_cfg: Any = None
    bias: bool | str = "auto"
    last_cfg: Any = None
    plain: bool = False
    first: int = 0
    first_cfg: Any = None

    def conv(self, at: int) -> Any:
        """The ``conv_cfg`` of one of the convolutions.

        Example:
            >>> Tower("inter_convs", 3, first=1, first_cfg="DCNv2").conv(0)
            'DCNv2'
        """
        if at < self.first:
            return self.first_cfg
        return self.last_cfg if self.last_cfg is not None and at == self.depth - 1 else self.conv_cfg


class Output(NamedTuple):
    """A convolution that predicts.

    Attributes:
        name: of the layer.
        source: the name of the tower that it follows.
        width: channels that it gives.
        kernel: its size.
        scaled: a learned number multiplies it, one a level.
    """

    name: str
    source: str
    width: int
    kernel: int = 3
    scaled: bool = False


class Plan(NamedTuple):
    """The layers of a head, in their order.

    Attributes:
        in_channels: of the maps.
        width: of the towers.
        towers, outputs: see there.
        scales: how many learned numbers there are, one a level.
        integral: how many numbers a distribution has, whose places are a buffer; 0: there is none.
        order: the names of towers and outputs, where a state_dict does not have the outputs behind the towers.
    """

    in_channels: int
    width: int
    towers: tuple[Tower, ...]
    outputs: tuple[Output, ...]
    scales: int = 0
    integral: int = 0
    order: tuple[str, ...] = ()

    def width_of(self, source: str) -> int:
        """The channels that a tower gives.

        Raises:
            StopIteration: there is no such tower.
        """
        tower = next(one for one in self.towers if one.name == source)
        return self.width if tower.depth else self.in_channels
