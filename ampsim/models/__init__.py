"""Amp models: each maps a segment of input to a segment of output. One file a family."""

from ampsim.models.base import AmpModel
from ampsim.models.dense import Dense
from ampsim.models.spectral_dense import SpectralDense

__all__ = ["AmpModel", "Dense", "SpectralDense"]
