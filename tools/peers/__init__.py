"""Small honest services of the usual kind, which `tools.serving` measures lingqu's against."""
