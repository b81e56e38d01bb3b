"""AIDA-X and aidadsp-lv2: RTNeural's JSON with one recurrent layer, a skip connection, a test signal and metadata."""

import json
from pathlib import Path

from ampsim.export.formats import Details, Format, Play, family, gains
from ampsim.export.rtneural import layers
from ampsim.models import AmpModel, Gru, Lstm
from ampsim.players import rtneural
from ampsim.recordings import virtual_amp
from ampsim.signals.audio import decibels

BATCH = 2048  # samples of input and of output that a file carries, which a player checks itself against


class AidaX(Format):
    name = "aidax"
    ending = ".json"
    start = "from zero states"
    from_zero_states = True
    prover = "a NumPy reader of its rules, in double precision"

    def refusal(self, model: AmpModel) -> str:
        sizes = ", ".join(map(str, rtneural.AIDAX_UNITS))
        if type(model) not in (Lstm, Gru):
            return f"it holds an LSTM or a GRU, and not a {family(model)}"
        if len(model.cells) != 1 or model.units not in rtneural.AIDAX_UNITS:
            return f"it holds one layer of {sizes} units, and not {len(model.cells)} of {model.units}"
        if model.skip and model.lookahead:
            return "its skip connection adds the current sample, and this model's is one of the past (model.future=1)"
        return ""

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        assert isinstance(model, Lstm)
        assert model.sample_rate
        heard = virtual_amp.guitar(1.0, model.sample_rate, seed=0)[:BATCH]
        before, after = gains(model)
        # With a skip connection the gains stay outside of the net; the batches are of the net.
        inner = (1.0, 1.0) if model.skip else (before, after)
        output = inner[1] * model.compiled_advance(inner[0] * heard[None], model.initial_state(1))[0].numpy()[0]
        document = {
            "in_shape": [None, None, 1],
            "layers": layers(model, *inner),
            "in_gain": decibels(before) if model.skip else 0.0,
            "out_gain": decibels(after) if model.skip else 0.0,
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
            document["in_skip"] = 1
        path.write_text(json.dumps(document), encoding="utf-8")

    def load(self, path: Path) -> Play:
        return rtneural.read_aidax(path)
