"""What training minimises: terms on segments of shape (batch, num_samples), added up by their weights."""

from ampsim.losses.balanced import Balanced
from ampsim.losses.filtered import AWeighted, Filtered, PreEmphasized
from ampsim.losses.loss import Loss, Sum
from ampsim.losses.spectral import MFCC, AWeightedSpectralMSE, LogMel, MultiResolutionSTFT, Spectral
from ampsim.losses.waveform import DC, ESR, MAE, MSE
from ampsim.losses.whitened import Whitened

__all__ = [
    "DC",
    "ESR",
    "MAE",
    "MFCC",
    "MSE",
    "AWeighted",
    "AWeightedSpectralMSE",
    "Balanced",
    "Filtered",
    "LogMel",
    "Loss",
    "MultiResolutionSTFT",
    "PreEmphasized",
    "Spectral",
    "Sum",
    "Whitened",
]
