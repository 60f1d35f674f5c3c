"""Privacy: masking, encryption. Tools that know no stage."""
