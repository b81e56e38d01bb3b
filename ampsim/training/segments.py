"""Training examples: contiguous segments drawn from the spans of a split."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ampsim import AmpsimError, counted
from ampsim.models.base import Example
from ampsim.recordings.pairs import Span
from ampsim.signals.audio import Signal


class Segments:
    """The spans of a split, laid out so that a segment is one slice; no window is ever stored.

    `input` and `target` are one array each. A segment that starts at `s` is `input[s : s + receptive_field - 1 + n]` with
    the target `target[s : s + n]`, n being the segment length. All segments of a batch are of one setting of the amp's
    controls.

    Raises:
        AmpsimError: no span is as long as one segment, or one at a setting of the controls is not.
    """

    def __init__(self, spans: Sequence[Span], *, history: int, lookahead: int, segment_length: int) -> None:
        shortest = min((span for span in spans if span.take.setting), key=len, default=None)
        if shortest and len(shortest) < segment_length:
            raise AmpsimError(
                f"training.segment_length={segment_length} is longer than what {shortest.take.name} has to train on "
                f"({counted(len(shortest), 'sample')}), and its setting would be lost: lower it to {len(shortest)} or record more"
            )
        context = self.context = history + lookahead
        inputs, targets, starts, settings, offset = [], [], [], [], 0
        for span in spans:
            inputs.append(span.input(history=history, lookahead=lookahead))
            # As long as its input, so that one position serves both; nothing starts in the padding.
            targets.append(np.pad(span.target, (0, context)))
            starts.append((offset, len(span) - segment_length))
            settings.append(span.take.setting)
            offset += len(span) + context
        self.starts = [(first, room) for first, room in starts if room >= 0]
        self.settings = [setting for setting, (_, room) in zip(settings, starts, strict=True) if room >= 0]
        if not self.starts:
            longest = max(map(len, spans))
            raise AmpsimError(
                f"training.segment_length={segment_length} is longer than the longest piece to train on "
                f"({counted(longest, 'sample')}): lower it to {longest} or record more"
            )
        self.input: Signal = np.concatenate(inputs).astype(np.float32, copy=False)
        self.target: Signal = np.concatenate(targets).astype(np.float32, copy=False)
        self.segment_length = segment_length
        self.num_segments = sum(map(self.segments_in, self.starts))

    def segments_in(self, start: tuple[int, int]) -> int:
        return max(1, start[1] // self.segment_length)

    def num_steps(self, batch_size: int) -> int:
        """Batches in an epoch."""
        counts = Counter[tuple[float, ...]]()
        for setting, start in zip(self.settings, self.starts, strict=True):
            counts[setting] += self.segments_in(start)
        return sum(-(-count // batch_size) for count in counts.values())

    def targets(self, most: int = 256) -> np.ndarray:
        """Targets of some segments, spread evenly over all there are: (num_targets, segment_length)."""
        starts = np.concatenate([first + np.arange(0, room + 1, self.segment_length) for first, room in self.starts])
        chosen = starts[np.linspace(0, len(starts) - 1, min(most, len(starts))).astype(int)]
        return np.stack([self.target[start : start + self.segment_length] for start in chosen])

    def stretches(self, length: int, most: int) -> list[Example]:
        """Contiguous stretches of about `length` samples, spread evenly: up to `most`, and one a setting at least."""
        pieces = []
        for (first, room), setting in zip(self.starts, self.settings, strict=True):
            end = first + room + self.segment_length
            edges = np.linspace(first, end, max(1, round((end - first) / length)) + 1).astype(int)
            pieces += [(*edge, setting) for edge in pairwise(edges)]
        chosen = [pieces[number] for number in np.linspace(0, len(pieces) - 1, min(most, len(pieces))).astype(int)]
        seen = {setting for _, _, setting in chosen}
        chosen += {setting: (a, b, setting) for a, b, setting in pieces if setting not in seen}.values()
        return [Example(self.input[a : b + self.context], self.target[a:b], setting) for a, b, setting in chosen]

    def epoch(self, number: int, *, batch_size: int, seed: int) -> np.ndarray:
        """Start positions of one epoch, (num_steps, batch_size): every segment once, in an order of its own.

        Segments lie side by side from an offset drawn anew each epoch, so that their borders move. The order
        depends on `seed` and `number` alone, so that a resumed run sees what an unbroken one would have seen. The last
        batch of a setting is filled up from the start of its order.
        """
        random = np.random.default_rng([seed, number])
        drawn = [self.tiled(first, room, random) for first, room in self.starts]
        batches = []
        for setting in dict.fromkeys(self.settings):
            order = random.permutation(
                np.concatenate([starts for starts, its in zip(drawn, self.settings, strict=True) if its == setting])
            )
            batches.append(np.resize(order, (-(-len(order) // batch_size), batch_size)))
        if len(batches) == 1:
            return batches[0].astype(np.int32)
        return random.permutation(np.concatenate(batches)).astype(np.int32)

    def tiled(self, first: int, room: int, random: np.random.Generator) -> np.ndarray:
        """Starts of segments side by side in a span; the room of one segment is left free, so that they can shift."""
        count = self.segments_in((first, room))
        shift = int(random.integers(0, room - (count - 1) * self.segment_length + 1))
        return first + shift + np.arange(count) * self.segment_length
