"""What maintainers run: the lock, the measurements."""
