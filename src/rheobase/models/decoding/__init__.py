"""Decoding of labels by linear maps, with permutation nulls: a model for some, a rival for all."""
