"""Verdicts: a run that was made again, renders of any tool, what listeners answered."""
