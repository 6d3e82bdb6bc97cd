"""Transforms of mmpretrain's own."""
