"""Training: the one loop of named steps, checkpoints, the ladder. Importing this package imports no torch."""
