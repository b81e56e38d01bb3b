"""One run: trained, scored, tracked and found again."""
