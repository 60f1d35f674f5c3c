"""From a user's file to a data version: read, type, quarantine, keep near-duplicates together, split, check, store."""
