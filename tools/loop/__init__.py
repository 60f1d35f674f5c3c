"""The loop's published proofs: what its rules do over many seeds, each beside the usual rule on the same draws."""
