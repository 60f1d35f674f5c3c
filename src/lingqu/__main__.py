"""`python -m lingqu` is `lingqu`."""

from lingqu.cli import main

main()
