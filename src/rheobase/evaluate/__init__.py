"""Folds and seeds gathered: intervals, paired comparisons, corrections."""
