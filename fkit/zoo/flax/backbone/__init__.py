"""Backbones: networks from images to maps or features."""
