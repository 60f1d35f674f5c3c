"""What a version is worth: the report of its bundle on held-out rows, the gate, and the pages that show both."""
