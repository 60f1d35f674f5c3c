"""Rows: readers, checks, splits, versions, and the fronts that turn each modality into arrays."""
