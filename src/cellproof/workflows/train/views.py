"""Which kinds of images gain accuracy by the mean of more views, measured on held-out samples.

`segment` predicts images of such kinds in four views, others where one view leaves doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from ...inference.activate import Maps
from ...instances.decode import decode
from ...metrics import objects
from ...metrics.paired import Paired, compare
from ...types import IGNORE, InstanceOptions, Sample, TrustRecord

THRESHOLDS = (0.5, 0.75, 0.9)
"""IoU at which accuracy is compared: found at all, well, and to the pixel."""

Counts = Sequence[objects.ObjectCounts]


def with_gains(
    trust: TrustRecord,
    samples: Sequence[Sample],
    kinds: Sequence[str],
    one: Callable[[int], Maps],
    more: Callable[[int], Maps],
    *,
    options: InstanceOptions,
    say: Callable[[str], None],
) -> TrustRecord:
    """A trust record that says of each of its kinds whether held-out samples gained by more views.

    Args:
        trust: Fitted on the same samples; kinds that it does not know are passed over.
        samples: Held-out samples with instances.
        kinds: Of each.
        one: Tempered maps of the sample of this number in one view.
        more: Their mean over more views.
        options: How objects are made.
        say: Told what gains, and by how much.
    """
    known = []
    for kind in trust.kinds:
        chosen = [number for number, name in enumerate(kinds) if name == kind.name]
        counted = [[_counts(samples[i], maps(i), options) for i in chosen] for maps in (one, more)]
        found = gain(counted[1], counted[0])
        known.append(msgspec.structs.replace(kind, gains_by_views=is_gain(found)))
        if is_gain(found):
            of = f" of kind {kind.name!r}" if kind.name else ""
            say(
                f"held-out images{of} gain {found.difference:.3f} in AP by four views instead of one: "
                "segment takes four there, and one with tta=False"
            )
    return msgspec.structs.replace(trust, kinds=tuple(known))


def gain(more: Sequence[Counts], one: Sequence[Counts]) -> Paired:
    """What more views give: for each image the difference in AP, averaged over `THRESHOLDS`.

    Args:
        more: Of each image its matches at each of `THRESHOLDS`, by more views.
        one: The same by one view.
    """
    scores = [
        np.array([np.mean([objects.average_precision(count) for count in counts]) for counts in every])
        for every in (more, one)
    ]
    return compare(scores[0], scores[1])


def is_gain(found: Paired) -> bool:
    """Whether it is one that chance does not explain: its 95 % interval lies above 0."""
    return found.interval is not None and found.interval[0] > 0


def _counts(sample: Sample, maps: Maps, options: InstanceOptions) -> Counts:
    assert sample.instances is not None
    labels = decode(maps.probabilities, maps.fields, options=options)
    pairs = objects.overlap(labels, sample.instances, ignored=sample.class_map == IGNORE)
    return [objects.count_matches(pairs, threshold) for threshold in THRESHOLDS]
