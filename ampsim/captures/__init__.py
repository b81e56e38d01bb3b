"""Captures: nets in the formats of the players, read and played by NumPy alone.

They are amps to learn from and to play (`.nam`), and what proves an export: a reader that shares no code with the writer.
"""

from ampsim.captures.nam import Capture, read
from ampsim.captures.player import Player
from ampsim.captures.recordings import Distilled, NamCapture, level_fault

__all__ = ["Capture", "Distilled", "NamCapture", "Player", "level_fault", "read"]
