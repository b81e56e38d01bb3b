"""Runs put beside each other: rankings and comparisons."""
