"""Segmentation without a framework: losses of pixels, samplers, windows and what heads make of logits; written once over ``xp``."""
