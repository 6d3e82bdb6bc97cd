"""From the digits to the first step with mmengine's Runner: ``python mmengine_start.py DIGITS FOLDER``."""

import os
import sys
import warnings

warnings.simplefilter("ignore")
import numpy as np  # noqa: E402
import torch  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402
from mmengine.model import BaseModel  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.data import Dataset  # noqa: E402


class Digits(Dataset):
    def __init__(self, path):
        data = np.load(path)
        self.images, self.labels = data["images"][data["train_idx"]], data["labels"][data["train_idx"]]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return torch.from_numpy((self.images[index].astype(np.float32) / 16 - 0.3054) / 0.3759), int(self.labels[index])


class MLP(BaseModel):
    def __init__(self):
        super().__init__()
        layers = nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
        self.network = nn.Sequential(nn.Flatten(), *layers)

    def forward(self, inputs, labels, mode="tensor"):
        return {"loss": F.cross_entropy(self.network(inputs), labels)}


class EndAtFirstStep(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        float(outputs["loss"])
        os._exit(0)


Runner(
    MLP(),
    sys.argv[2],
    train_dataloader={
        "batch_size": 64,
        "dataset": Digits(sys.argv[1]),
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "default_collate"},
    },
    train_cfg={"by_epoch": True, "max_epochs": 1},
    optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.003, "weight_decay": 0.05}},
    param_scheduler={"type": "CosineAnnealingLR", "by_epoch": False, "T_max": 460, "eta_min": 0},
    custom_hooks=[EndAtFirstStep()],
).train()
