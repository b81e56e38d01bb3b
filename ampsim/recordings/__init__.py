"""Recordings: where they come from, what is wrong with them, and how they are aligned and split."""

from ampsim.recordings.folder import Folder
from ampsim.recordings.knobs import Knobs, VirtualKnobs
from ampsim.recordings.pairs import AudioPair, FileRecord, Span
from ampsim.recordings.sources import Pair, Source, Stereo, VirtualAmp

__all__ = ["AudioPair", "FileRecord", "Folder", "Knobs", "Pair", "Source", "Span", "Stereo", "VirtualAmp"]
__all__ += ["VirtualKnobs"]
