"""Amp models: each maps a segment of input to a segment of output. One file a family."""

from ampsim.models.base import AmpModel
from ampsim.models.compiled import keep_compiled
from ampsim.models.controlled import Controlled
from ampsim.models.dense import Dense
from ampsim.models.fir import Fir
from ampsim.models.gru import Gru
from ampsim.models.lstm import Lstm
from ampsim.models.slimmable import Slimmable
from ampsim.models.spectral_dense import SpectralDense
from ampsim.models.ssm import Ssm
from ampsim.models.tcn import Tcn
from ampsim.models.wavenet import WaveNet
from ampsim.models.wavenet_cab import WaveNetCab
from ampsim.models.wiener_hammerstein import WienerHammerstein

__all__ = [
    "AmpModel",
    "Controlled",
    "Dense",
    "Fir",
    "Gru",
    "Lstm",
    "Slimmable",
    "SpectralDense",
    "Ssm",
    "Tcn",
    "WaveNet",
    "WaveNetCab",
    "WienerHammerstein",
]

keep_compiled()
