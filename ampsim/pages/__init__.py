"""Pages about many runs: a study's, and that of a folder of recordings."""
