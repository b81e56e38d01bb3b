"""What training minimises: terms on segments of shape (batch, num_samples), added up by their weights."""

from ampsim.losses.loss import Loss, Sum
from ampsim.losses.waveform import ESR, MAE, MSE

__all__ = ["ESR", "MAE", "MSE", "Loss", "Sum"]
