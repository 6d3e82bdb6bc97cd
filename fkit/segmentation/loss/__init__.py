"""Losses of pixels, as values that are called with ``xp``."""
