"""Hidden Markov models of recordings: parts of a family that is not in the table yet."""
