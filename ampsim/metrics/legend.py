"""What each score is called, how it is written, and what it means to who reads it."""

SCORES = {
    "esr": ("ESR", "{:.4f}", "error-to-signal ratio; 0 is perfect, 1 is no better than silence"),
    "a_weighted_esr": ("A-weighted ESR", "{:.4f}", "the same, as the ear weighs frequencies"),
    "multi_resolution_stft": ("MR-STFT", "{:.3f}", "distance of short-time spectra at three resolutions"),
    "log_spectral_distance_db": ("spectrum", "{:.2f} dB", "distance of A-weighted third-octave levels"),
    "flutter_db": ("flutter", "{:.2f} dB", "volume that fluctuates 2 to 20 times a second, and the amp's does not"),
    "loudness_difference_lu": ("loudness", "{:+.2f} LU", "prediction over the amp (BS.1770)"),
    "worst_second_esr": ("worst second", "{:.4f}", "ESR of the worst second"),
    "mse": ("MSE", "{:.3g}", "mean squared error"),
    "mae": ("MAE", "{:.3g}", "mean absolute error"),
    "peak_difference_db": ("peak", "{:+.2f} dB", "prediction's peak over the amp's"),
    "rms_difference_db": ("RMS", "{:+.2f} dB", "prediction's level over the amp's"),
    "aliasing_db": ("aliasing", "{:.1f} dB", "energy off the harmonics of test tones over energy on them"),
    "linear_floor_esr": ("linear floor", "{:.4f}", "ESR of the best linear filter: what a net must beat"),
    "noise_floor_esr": ("noise floor", "{:.2g}", "ESR of the amp's own noise: what no model can beat"),
    "real_time_factor": ("real time", "{:.1f}×", "seconds of audio rendered per second"),
    "parameters": ("parameters", "{:,.0f}", "numbers that were learnt"),
}
