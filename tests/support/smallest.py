"""The smallest run that a command can make: a short filter, an epoch, on what the embedded amp plays."""

SMALLEST = [
    "model=fir",
    "model.taps=32",
    "data.duration_s=12",
    "training.epochs=1",
    "training.validate_every=1",
    "optimizer=adam",
]
