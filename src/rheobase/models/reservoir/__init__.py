"""Reservoirs of excitatory and inhibitory units whose inhibition adapts to target rates."""
