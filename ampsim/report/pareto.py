"""The Pareto front: which of several trade-offs none of the others betters."""

from collections.abc import Sequence


def front(points: Sequence[Sequence[float]]) -> list[int]:
    """Places of the points that no other equals or undercuts in every coordinate; less is better. Equal points all stay."""
    return [
        place
        for place, point in enumerate(points)
        if not any(
            all(a <= b for a, b in zip(other, point, strict=True)) and list(other) != list(point) for other in points
        )
    ]
