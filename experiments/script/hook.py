"""A hook of one's own: the "bold driver", which raises the learning rate while the loss falls, and halves it when it rises.

It is tested by value in test_hook.py: no run, no file, no mock.

Command: python experiments/script/hook.py
Time: about 3 s on one core of a CPU.
"""

from dataclasses import dataclass
from pathlib import Path

import fkit

CONFIG = Path(__file__).parents[2] / "configs/digits/mlp.py"


@dataclass(frozen=True)
class BoldDriver(fkit.Hook):
    """After each epoch: ``up`` times the rate where the mean loss fell, ``down`` times where it rose.

    Memory: exact, the mean loss of the epoch before; None before the first.
    """

    up: float = 1.05
    down: float = 0.5

    reads = True  # it wants event.window: the steps since it last read

    def memory(self):
        return fkit.Memory(exact=None)

    def after_train_epoch(self, memory, run, event):
        losses = event.read([step.logs["loss"] for step in event.window])
        loss, before = sum(losses) / len(losses), memory.exact
        if before is None:
            return fkit.Memory(exact=loss), ()
        factor = self.up if loss < before else self.down
        rates = run.hyperparams["lr"] * factor
        said = fkit.effect.WriteText(f"loss {before:.4f} -> {loss:.4f}: lr {rates[0]:.2e}")
        return fkit.Memory(exact=loss), (fkit.effect.SetHyperparams({"lr": rates}), said)


def main(work_dir: str = "work_dirs/bold", epochs: int = 8) -> float:
    """The learning rate at the end."""
    registry = fkit.registry().register("hooks", BoldDriver)
    cfg = fkit.load_config(CONFIG).merge(
        {
            "work_dir": work_dir,
            "train_cfg.max_epochs": epochs,
            "param_scheduler": None,
            "custom_hooks": [{"type": "BoldDriver"}],
        }
    )
    run = fkit.run_config(cfg, registry)
    print(f"{dict(run.metrics)} at lr {run.hyperparams['lr'][0]:.2e}")
    return float(run.hyperparams["lr"][0])


if __name__ == "__main__":
    main()
