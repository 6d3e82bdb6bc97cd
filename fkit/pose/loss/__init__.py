"""Losses of keypoints: of heatmaps, of lines, of coordinates."""
