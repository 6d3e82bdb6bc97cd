"""Detectors of queries: DETR and its kin."""
