"""Players in NumPy of other tools' formats: what a capture sounds like, and what proves an export, by a reader that
shares no code with the writer."""

from ampsim.players.nam import Capture, read
from ampsim.players.player import Player

__all__ = ["Capture", "Player", "read"]
