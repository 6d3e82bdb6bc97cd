"""Losses as pure arithmetic: one number an element or a row; `reduce` weighs them and takes their mean."""
