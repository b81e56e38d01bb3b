"""Runs put beside each other: rankings, comparisons and reproductions."""
