"""A metric: how far the prediction's crest factor is from the amp's."""

import numpy as np

from ampsim.metrics.scores import Pairs, Score, register


def crest_difference_db(pairs: Pairs, sample_rate: int) -> float:
    """Peak over RMS of the prediction less that of the target, in dB; 0 is the same dynamics.

    Args:
        pairs: (target, prediction) of each held-out span, (num_samples,) each, full scale at 1.
        sample_rate: in hertz.
    """
    target, prediction = (np.concatenate(side) for side in zip(*pairs, strict=True))

    def crest(samples: np.ndarray) -> float:
        return float(np.max(np.abs(samples)) / np.sqrt(np.mean(np.square(samples, dtype=np.float64))))

    return 20 * float(np.log10(crest(prediction) / crest(target)))


register(
    Score("crest_difference_db", "crest", "{:+.2f} dB", "prediction's peak over RMS, over the amp's", signed=True),
    crest_difference_db,
)
