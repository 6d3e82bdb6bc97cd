"""Pure functions that turn the keys of mmcv 1.x's time into the run's keys, which are mmengine's."""

from fkit.config.dialect.translate import translate

__all__ = ["translate"]
