"""Pose estimators of flax: their heads and necks."""
