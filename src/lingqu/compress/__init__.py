"""Make a bundle smaller and faster, each way with its before-and-after row and its paired test."""
