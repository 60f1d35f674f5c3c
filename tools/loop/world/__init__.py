"""The world: a simulated product on real rows, its users and two shifts, under three policies side by side."""
