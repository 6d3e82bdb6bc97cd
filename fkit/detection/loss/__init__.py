"""Losses under MMDetection's names and arguments, over any library of arrays."""
