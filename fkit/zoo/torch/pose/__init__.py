"""Pose estimators of torch: their heads and necks."""
