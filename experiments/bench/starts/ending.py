"""A hook that ends the process after the first step; taken in by ``custom_imports``."""

import os
from dataclasses import dataclass
from typing import Any

import fkit


@fkit.component("hooks")
@dataclass(frozen=True)
class EndAtFirstStep(fkit.Hook):
    def after_train_iter(self, memory: Any, run: Any, event: Any) -> Any:
        event.read(list(event.logs.values()))  # the step is done
        os._exit(0)
