"""Spiking networks: parts that learn from events and stop early. Not a family yet.

Arrays of simulations are (step, example, feature) throughout. See ``docs/spiking.md``.
"""
