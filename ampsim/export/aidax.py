"""AIDA-X and aidadsp-lv2: RTNeural's JSON with one recurrent layer, a skip connection, a test signal and metadata."""

import json
from pathlib import Path

from ampsim.export.formats import Details, Play
from ampsim.export.rtneural import RTNeural, entries
from ampsim.models import AmpModel
from ampsim.models.forms import CannotHoldError
from ampsim.models.recurrent import Recurrent
from ampsim.players import rtneural
from ampsim.recordings import virtual_amp
from ampsim.signals.audio import decibels

BATCH = 2048  # samples of input and of output that a file carries, which a player checks itself against


class AidaX(RTNeural):
    name = "aidax"
    start = "from zero states"

    def check(self, model: AmpModel) -> None:
        sizes = ", ".join(map(str, rtneural.AIDAX_UNITS))
        try:
            *cells, head = model.as_chain(net_only=True)
        except CannotHoldError:
            cells = []
        if not cells or {cell.kind for cell in cells} - {"lstm", "gru"}:
            raise CannotHoldError(f"it holds an LSTM or a GRU, and not a {type(model).__name__}")
        if len(cells) != 1 or cells[0].outputs not in rtneural.AIDAX_UNITS or head.kind != "dense":
            raise CannotHoldError(f"it holds one layer of {sizes} units, and not {len(cells)} of {cells[0].outputs}")
        if isinstance(model, Recurrent) and model.skip and model.lookahead:
            raise CannotHoldError(
                "its skip connection adds the current sample, and this model's is one of the past (model.future=1)"
            )

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        assert isinstance(model, Recurrent)
        assert model.sample_rate
        heard = virtual_amp.guitar(1.0, model.sample_rate, seed=0)[:BATCH]
        # With a skip connection the gains stay outside of the net; the batches are of the net.
        before, after = model.input_gain, model.output_gain
        inner = (1.0, 1.0) if model.skip else (before, after)
        output = inner[1] * model.compiled_advance(inner[0] * heard[None], model.initial_state(1))[0].numpy()[0]
        document = {
            "in_shape": [None, None, 1],
            "layers": entries(model.as_chain(net_only=model.skip)),
            "samplerate": model.sample_rate,  # a number here for the lv2 plugin, text below as in the files that AIDA-X ships
            "metadata": {
                "name": details.name,
                "samplerate": str(model.sample_rate),
                "source": " ".join(filter(None, (details.gear_make, details.gear_model))),
                "style": details.tone_type,
                "author": details.modeled_by,
                "based": "ampsim",
                "esr": str(details.scores.get("test_esr", "")),
            },
            "input_batch": heard.tolist(),
            "output_batch": (output + heard if model.skip else output).tolist(),
        }
        if model.skip:
            document |= {"in_skip": 1, **gains_db(in_gain=before, out_gain=after)}
        path.write_text(json.dumps(document), encoding="utf-8")

    def load(self, path: Path) -> Play:
        return rtneural.read_aidax(path)


def gains_db(**gains: float) -> dict[str, float]:
    """The gains as the file has them, without those of 0 dB: a player with NeuralAudio takes `in_gain` for a level that the
    net was made for, and has 12 dB more of input wherever the key is there and 0."""
    return {name: level for name, gain in gains.items() if (level := decibels(gain))}
