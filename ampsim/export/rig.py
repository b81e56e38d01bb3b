"""A rig: a net as a `.nam` file that every plugin reads, and the filter behind it as impulse responses for the plugin's slot.

In one `.nam` file the filter would be a head of thousands of taps, which only newer players read, and which costs twenty
times what the net costs, since they compute it tap by tap where the slot has a fast product.
"""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from scipy import signal

from ampsim import __version__, counted
from ampsim.export import formats
from ampsim.export import nam as nam_format
from ampsim.export.formats import Details, Format, Play, file_stem
from ampsim.models import AmpModel, cost
from ampsim.models.forms import CannotHoldError
from ampsim.models.rendering import Renderer
from ampsim.players import impulse_response, nam
from ampsim.players.impulse_response import LONGEST, RATES, slot_gain
from ampsim.players.loudness import reference_input
from ampsim.recordings import virtual_amp
from ampsim.signals import audio
from ampsim.signals.audio import Signal, decibels, energy, peak, refuse_unsound
from ampsim.signals.linear import resampled_response

# Of the energy: a response that is further than this from the model at its rate is not written. What a model plays up to the
# highest frequency of its rate is partly above that of a lower one: 4e-5 in a trained one, below what is heard.
NEAR = 1e-4
SILENT = 1e-6
EDGE_S = 0.01  # which the resampler needs at both ends


class Rig(Format):
    name = "rig"
    ending = "-rig"
    folder = True
    start = "as after silence, once the filter's length has passed"
    prover = "the NumPy reader of captures, in double precision, and the plugin's rule for impulse responses"

    def check(self, model: AmpModel) -> None:
        rig = model.as_rig()
        nam_format.named(rig.net)
        if len(rig.response) > LONGEST:
            raise CannotHoldError(
                f"its filter has {len(rig.response):,} taps at {model.sample_rate:,} Hz, and the plugin cuts an impulse "
                f"response after {LONGEST:,} (model.taps and model.tail together)"
            )

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        rig, rate = model.as_rig(), model.sample_rate
        assert rate
        refuse_unsound("the model's filter", rig.response)
        responses = {
            each: resampled_response(rig.response, rate, each, longest=LONGEST) / slot_gain(each)
            for each in sorted({rate, *RATES})
        }
        stem = file_stem(details.name)
        net = path / f"{stem}.nam"
        metadata = nam_format.metadata(details, Renderer(model))
        facts = {"sample_rate": rate, "metadata": metadata}
        net.write_text(json.dumps(nam_format.document(rig.net) | facts), encoding="utf-8")
        level = ratio(metadata["loudness"], net)
        net.write_text(json.dumps(nam_format.document(rig.net.louder(level)) | facts), encoding="utf-8")
        for each, response in responses.items():
            audio.write(path / f"{stem} IR {each / 1000:g} kHz.wav", (response / level).astype(np.float32), each)
        errors = deviations(path)
        for each, error in errors.items():
            if not error <= NEAR:
                response_file(path, each).unlink()
        (path / "README.txt").write_text(readme(model, path, details, errors), encoding="utf-8")

    def load(self, path: Path) -> Play:
        capture = nam.read(net_file(path), precision=np.float64)
        response = impulse_response.read(response_file(path, capture.sample_rate), capture.sample_rate)

        def play(heard: Signal) -> Signal:
            silence = np.zeros(len(response) - 1, np.float32)
            return np.asarray(
                signal.oaconvolve(capture.player(np.concatenate([silence, heard])), response, mode="valid")
            )

        return play

    def annotate(self, path: Path, facts: dict[str, Any]) -> bool:
        return nam_format.annotate(net_file(path), facts)

    def players(self, model: AmpModel) -> str:
        return nam_format.readers(model.as_rig().net)

    def speed(self, model: AmpModel) -> float | None:
        assert model.sample_rate
        rig = model.as_rig()
        return cost.speed(rig.net, model.sample_rate, slot_taps=len(rig.response))

    def advice(self, model: AmpModel) -> str:
        return (
            "load the .nam file, and in the same plugin the impulse response of your session's rate: see its README.txt"
        )


def ratio(pair_db: float, net: Path) -> float:
    """By how much the net is to be louder, and the responses softer, so that it alone is as loud as the pair.

    What a file states of its loudness then holds with this filter as well as with another cabinet in the slot, or none. An
    offset does not count: plugins take it out.
    """
    alone = float(np.std(nam.read(net).player(reference_input()).astype(np.float64)))
    pair = 10 ** (pair_db / 20)
    return pair / alone if min(alone, pair) > SILENT else 1.0


def net_file(folder: Path) -> Path:
    (found,) = folder.glob("*.nam")
    return found


def response_file(folder: Path, sample_rate: int) -> Path:
    (found,) = folder.glob(f"* IR {sample_rate / 1000:g} kHz.wav")
    return found


def deviations(folder: Path) -> dict[int, float]:
    """By rate, the energy of the difference between the rig in a session of that rate and the rig at the net's own,
    resampled: over that of the latter, for some seconds of guitar."""
    capture = nam.read(net_file(folder))
    own = capture.sample_rate
    response = impulse_response.read(response_file(folder, own), own)
    guitar = virtual_amp.guitar(formats.PROOF_S, own, seed=0)
    played = capture.player(np.concatenate([np.zeros(len(response), np.float32), guitar])).astype(np.float64)
    filtered = signal.oaconvolve(played, response)[: len(played)]
    begun_s, found = len(response) / own + EDGE_S, {own: 0.0}
    for rate in (each for each in RATES if each != own):
        resampled, expected = (soxr.resample(each, own, rate, quality="VHQ") for each in (played, filtered))
        taps = impulse_response.read(response_file(folder, rate), rate)
        part = slice(round(begun_s * rate), len(expected) - round(EDGE_S * rate))
        expected, heard = expected[part], signal.oaconvolve(resampled, taps)[part]
        found[rate] = energy(heard - expected) / max(energy(expected), 1e-30)
    return dict(sorted(found.items()))


# ---- What a user reads ----


def readme(model: AmpModel, folder: Path, details: Details, errors: dict[int, float]) -> str:
    """Where to load what, how loud it is, and what holds."""
    own, taps = model.sample_rate, len(model.as_rig().response)
    assert own
    readers = nam_format.readers(model.as_rig().net)
    pair_db = json.loads(net_file(folder).read_text(encoding="utf-8"))["metadata"]["loudness"]
    late = (
        f"The pair plays {counted(model.lookahead, 'sample')} late at {own:,} Hz "
        f"({1000 * model.lookahead / own:.1f} ms), in the response"
        if model.lookahead
        else "The pair adds no latency: the responses begin at once"
    )
    template = resources.files(__package__).joinpath("rig_readme.txt").read_text(encoding="utf-8")
    return template.format(
        name=details.name,
        version=__version__,
        net=net_file(folder).name,
        own=own,
        readers=readers[0].upper() + readers[1:],
        cost=f"{Rig().speed(model):.0f}",
        table="\n".join(row(folder, rate, error, taps * rate / own) for rate, error in errors.items()),
        longest=LONGEST,
        late=late,
        length_ms=1000 * taps / own,
        loudness=pair_db,
        peak=max(peak(audio.read(each).samples) for each in folder.glob("*.wav")),
        gains="\n".join(
            f"   {rate:>6,} Hz   {decibels(slot_gain(rate)):+.2f} dB" for rate, error in errors.items() if error <= NEAR
        ),
    )


def row(folder: Path, rate: int, error: float, taps: float) -> str:
    cut = f"; cut at {LONGEST:,} taps of {taps:,.0f}" if taps > LONGEST else ""
    if not error <= NEAR:
        return f"   {rate:>6,} Hz   no file: it would be off by an ESR of {error:.1e}{cut}; the file of another rate is nearer"
    exact = "the model's own rate" if not error else f"off by an ESR of {error:.1e}"
    return f"   {rate:>6,} Hz   {response_file(folder, rate).name}   ({exact}{cut})"
