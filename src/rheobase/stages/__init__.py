"""The steps of the workflow: the only code that reads and writes results."""
