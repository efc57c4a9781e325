"""Dynamic functional connectomes: tensor factorisation of pairwise affinities over time."""
