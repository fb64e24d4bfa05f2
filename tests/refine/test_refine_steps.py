"""Steps by name: which class is which, what options mean, and what is refused."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.refine import apply_steps, explain, names, options_of, steps_of, tuned
from cellproof.refine.reassign import reassign
from cellproof.refine.reconnect import reconnect
from cellproof.refine.roles import Roles, find_roles
from cellproof.types import Head, Heads, ModelHeader, Prediction, Step

CLASSES = ("cytoplasm", "membrane", "nucleus")


@pytest.fixture
def prediction():
    """A cross of membrane with a gap that keeps some probability."""
    probabilities = np.full((3, 31, 31), 0.05, np.float32)
    probabilities[0] = 0.9
    for line in (np.s_[:, 15, :], np.s_[:, :, 15]):
        probabilities[line] = np.array([0.1, 0.8, 0.1], np.float32)[:, None]
    probabilities[:, 15, 4:9] = np.array([0.6, 0.35, 0.05], np.float32)[:, None]
    difficult = probabilities.max(axis=0) < 0.7
    return Prediction(probabilities, probabilities.argmax(axis=0).astype(np.uint8), CLASSES, difficult)


@pytest.mark.parametrize(
    ("classes", "options", "roles"),
    [
        (CLASSES, {}, Roles(1, 0, 2)),
        (("Cell wall", "interior"), {}, Roles(0, 1, None)),
        (("nuclei", "background", "border"), {}, Roles(2, 1, 0)),
        (("a", "b", "c"), {"connected": "b"}, Roles(1, 0, None)),
        (("a", "b", "c"), {"connected": "b", "rest": "c", "compact": "a"}, Roles(1, 2, 0)),
        (("outer membrane", "inner membrane", "cell"), {"connected": "inner membrane"}, Roles(1, 2, None)),
    ],
)
def test_classes_are_taken_by_their_names(classes, options, roles):
    assert find_roles(classes, **options) == roles


@pytest.mark.parametrize(
    ("classes", "options", "words"),
    [
        (("a", "b"), {}, "0 of the classes a, b are called membrane, wall or border; say which"),
        (("inner wall", "outer wall"), {}, "2 of the classes"),
        (CLASSES, {"connected": "wall"}, "no class 'wall'; there: cytoplasm, membrane, nucleus"),
        (CLASSES, {"rest": "membrane"}, "must be different"),
        (("membrane",), {}, "must be different"),
    ],
)
def test_classes_that_leave_a_doubt_are_refused(classes, options, words):
    with pytest.raises(InputError, match=words):
        find_roles(classes, **options)


def test_steps_do_what_their_functions_do(prediction):
    reassigned = reassign(prediction.class_map, prediction.difficult, connected=1, rest=0, compact=2)
    found = apply_steps(prediction, [Step("reassign")])
    np.testing.assert_array_equal(found.class_map, reassigned)
    assert (found.class_map != prediction.class_map).any()
    evidence = prediction.probabilities[1]
    closed = reconnect(prediction.class_map, evidence, connected=1, rest=0, threshold=0.1, spur_px=0).class_map
    found = apply_steps(prediction, [Step("reconnect", {"threshold": 0.1, "spur_px": 0})])
    np.testing.assert_array_equal(found.class_map, closed)
    assert (found.class_map[15] == 1).all()
    refused = apply_steps(prediction, [Step("reconnect", {"threshold": 0.4, "spur_px": 0})])
    assert (refused.class_map[15, 4:9] == 0).all()


def test_steps_come_one_after_the_other(prediction):
    both = apply_steps(prediction, [Step("reconnect"), Step("reassign")])
    first = apply_steps(prediction, [Step("reconnect")])
    np.testing.assert_array_equal(both.class_map, apply_steps(first, [Step("reassign")]).class_map)
    assert apply_steps(prediction, []) is prediction


def test_views_are_the_evidence_where_there_are_any(prediction):
    views = prediction.probabilities.copy()
    views[1, 15, 4:9] = 0.01
    seen = Prediction(prediction.probabilities, prediction.class_map, CLASSES, views=views)
    assert (apply_steps(seen, [Step("reconnect")]).class_map[15, 4:9] != 1).any()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step("heal"), "no step 'heal'; there: boundary_tuning, closing, reassign, reconnect"),
        (Step("roles"), "no step 'roles'"),
        (
            Step("reconnect", {"thresh": 1}),
            "'reconnect' has no option 'thresh'; there: connected, rest, threshold",
        ),
        (Step("reconnect", {"threshold": "high"}), "step 'reconnect': Expected `float`, got `str`"),
        (Step("reassign", {"rounds": -1}), "step 'reassign': Expected `int` >= 0"),
    ],
)
def test_what_is_no_step_is_refused(step, words):
    with pytest.raises(InputError, match=words):
        options_of(step)


def test_difficult_pixels_must_be_known_to_be_reassigned(prediction):
    with pytest.raises(InputError, match="compute them first"):
        apply_steps(Prediction(prediction.probabilities, prediction.class_map, CLASSES), [Step("reassign")])


def test_what_a_step_does_is_said_in_the_names_of_the_classes():
    assert explain([Step("reassign")], CLASSES) == [
        "step reassign: difficult pixels become membrane where they touch it, then nucleus, else cytoplasm"
    ]


def header(**changes):
    return ModelHeader(
        **({"name": "m", "architecture": "unet", "heads": Heads(3), "classes": CLASSES} | changes),
        in_channels=1,
        stride_px=1,
        receptive_field_px=0,
    )


def test_steps_given_stand_for_those_of_the_model():
    own = header(steps=(Step("reassign"),))
    assert steps_of(own) == (Step("reassign"),)
    assert steps_of(own, []) == ()
    assert steps_of(own, [Step("reconnect")]) == (Step("reconnect"),)
    with pytest.raises(InputError, match="model 'm' tells objects apart"):
        steps_of(header(heads=Heads(3, (Head("boundary"),))), [Step("reconnect")])


def test_only_what_a_step_leaves_open_is_tuned():
    assert list(tuned(Step("reconnect"))) == ["threshold"]
    assert tuned(Step("reconnect", {"threshold": 0.3})) == {}
    assert {name: tuned(Step(name)) for name in names()}["reassign"] == {}


def test_the_defaults_of_every_step_are_the_documented_ones():
    sides = {"inside": "", "outside": ""}
    assert {name: msgspec.structs.asdict(options_of(Step(name))) for name in names()} == {
        "boundary_tuning": {
            **sides,
            "method": "svm",
            "features": "intensity+sobel",
            "width_px": 1,
            "images": 200,
            "pixels": 50,
        },
        "closing": {**sides, "radius_px": 2},
        "reassign": {"connected": "", "rest": "", "compact": "", "rounds": 0},
        "reconnect": {
            "connected": "",
            "rest": "",
            "threshold": 0.2,
            "longest_px": 40.0,
            "smallest_px": 40.0,
            "spur_px": 8.0,
            "width_px": 0.0,
        },
    }


@pytest.mark.parametrize(
    ("name", "option", "least", "too_little"),
    [
        ("boundary_tuning", "width_px", 1, 0),
        ("boundary_tuning", "width_px", 100, 101),
        ("boundary_tuning", "images", 1, 0),
        ("boundary_tuning", "pixels", 1, 0),
        ("closing", "radius_px", 0, -1),
        ("closing", "radius_px", 1000, 1001),
        ("reassign", "rounds", 0, -1),
        ("reconnect", "threshold", 0, -0.01),
        ("reconnect", "longest_px", 0.1, 0),
        ("reconnect", "smallest_px", 0, -0.01),
        ("reconnect", "spur_px", 0, -0.01),
        ("reconnect", "width_px", 0, -0.01),
    ],
)
def test_numbers_at_the_ends_of_their_range_are_taken_and_those_beyond_refused(name, option, least, too_little):
    assert getattr(options_of(Step(name, {option: least})), option) == least
    with pytest.raises(InputError, match=f"step '{name}': Expected"):
        options_of(Step(name, {option: too_little}))


@pytest.mark.parametrize("name", names())
def test_options_of_a_step_cannot_be_changed_behind_its_back(name):
    options = options_of(Step(name))
    with pytest.raises(AttributeError, match="immutable"):
        setattr(options, msgspec.structs.fields(options)[0].name, "other")
