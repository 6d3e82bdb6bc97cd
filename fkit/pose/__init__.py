"""Pose estimation, written once for every library of arrays: what heads make of their outputs, and losses."""
