from __future__ import annotations

import numpy as np

from cellproof.instances.contacts import contacts


def test_edges_between_drawn_regions_and_objects_are_counted():
    regions = np.array([[1, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 2]])
    labels = np.array([[0, 0, 3, 3], [3, 4, 3, 0], [0, 0, 4, 0]])
    found = contacts(regions, labels)
    assert list(zip(found.region, found.label, found.edges, strict=True)) == [
        (1, 3, 2),
        (1, 4, 1),
        (2, 3, 2),
        (2, 4, 1),
    ]


def test_the_image_border_is_no_contact_and_does_not_wrap_around():
    regions = np.array([[0, 0, 0, 1], [0, 0, 0, 0]])
    labels = np.array([[5, 0, 0, 0], [5, 0, 0, 0]])
    assert contacts(regions, labels).region.size == 0
