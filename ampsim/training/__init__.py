"""Fits a model to a recording."""
