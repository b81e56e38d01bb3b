"""Configs: composed, saved, and built."""
