"""Segmentors, their heads and necks, in torch."""
