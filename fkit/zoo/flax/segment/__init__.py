"""Segmentors, their heads and necks, in flax."""
