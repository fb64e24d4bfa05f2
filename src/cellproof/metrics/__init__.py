"""Scores of a prediction against a reference: count once, add counts over images, then apply formulas."""
