"""What OpenMMLab's packages need to be imported beside a CPU build of torch; imported before them.

torchvision's compiled part does not load there: its Python part asks for the names of operators, and nothing here calls them.
chumpy, which mmpose names, fits no current numpy.
"""

import sys
import types
import warnings

import torch

__all__ = ["TORCHVISION"]

warnings.filterwarnings("ignore")
TORCHVISION = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms", "roi_align", "deform_conv2d", "ps_roi_align", "ps_roi_pool", "roi_pool"):
    TORCHVISION.define(f"{_name}(Tensor input) -> Tensor")
sys.modules["chumpy"] = types.ModuleType("chumpy")
