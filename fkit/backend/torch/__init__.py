"""The torch room: modules as pure functions of a state, torch's kernels for the updates, worker processes."""

from fkit.backend.torch.room import TorchBackend

__all__ = ["backend"]

backend = TorchBackend()
