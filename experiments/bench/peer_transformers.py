"""DETR-R50 of `transformers` on network.py's picture, run by an interpreter of its own; network.py starts it.

The model is made of a config alone, with a ResNet-50 of `transformers`: nothing is downloaded. A call is a prediction: the network,
then each query's likeliest class and its box in pixels, as the processor's post_process_object_detection has it.
"""

from collections.abc import Callable

import torch
from detection import serve, weight
from network import CASES, picture
from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig


def prediction() -> Callable[[], None]:
    backbone = ResNetConfig(out_features=["stage4"])
    cfg = DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone_config=backbone, num_labels=80)
    net = DetrForObjectDetection(cfg).eval()
    state = {
        # the rule knows a scale of batch norm by mmdet's names
        name: torch.from_numpy(weight(name.replace("normalization", "bn1"), tuple(tensor.shape)))
        for name, tensor in net.state_dict().items()
        if tensor.is_floating_point()
    }
    net.load_state_dict(state, strict=False)
    high, wide = CASES["detr"].size
    image = torch.from_numpy(picture((high, wide)))
    mask, scale = torch.ones(1, high, wide, dtype=torch.int64), torch.tensor([wide, high, wide, high])

    def infer() -> None:
        with torch.no_grad():
            said = net(pixel_values=image, pixel_mask=mask)
            said.logits.softmax(-1)[..., :-1].max(-1)
            centre, side = said.pred_boxes.chunk(2, -1)
            torch.cat([centre - side / 2, centre + side / 2], -1) * scale

    return infer


if __name__ == "__main__":
    serve(prediction())
