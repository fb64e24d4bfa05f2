"""Which channel a model is given: nuclei by their names, never a guess."""

from __future__ import annotations

import re

import pytest

from cellproof.checks import InputError
from cellproof.data.channels import choose_channels, nuclear_channels


@pytest.mark.parametrize(
    "name",
    ["DAPI", "dapi_405", "Hoechst 33342", "DRAQ5", "SYTO 13", "H2B-GFP", "mCherry-H2B", "Nuclei", "nuc", "NucBlue"],
)
def test_names_that_say_nucleus(name):
    assert nuclear_channels(["actin", name]) == (1,)


@pytest.mark.parametrize("name", ["Phalloidin", "GFP", "nucleolin", "NUP-nucleoporin", "H2O", "channel 0", "kinase"])
def test_names_that_do_not(name):
    assert nuclear_channels([name]) == ()


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("names", [("DAPI", "Phalloidin", "FISH"), ("actin", "DAPI"), ("a", "b", "c", "d", "Hoechst")])
def test_a_model_of_intensities_is_given_the_channel_of_the_nuclei_and_all_names_are_said(in_channels, names):
    choice = choose_channels(names, color=False, in_channels=in_channels)
    assert names[choice.places[0]] in ("DAPI", "Hoechst")
    assert len(choice.places) == 1
    assert all(name in choice.note for name in names)


def test_the_dye_for_dna_goes_before_a_protein_in_nuclei():
    assert choose_channels(["H2B-RFP", "DAPI"], color=False, in_channels=3).places == (1,)


def test_color_goes_in_whole_and_gray_alone():
    assert choose_channels(["red", "green", "blue"], color=True, in_channels=3).places == (0, 1, 2)
    assert choose_channels(["gray"], color=False, in_channels=3).places == (0,)


@pytest.mark.parametrize(
    ("names", "in_channels", "color"),
    [
        (("actin", "tubulin"), 3, False),
        (("channel 0", "channel 1", "channel 2"), 3, False),
        (("red", "green", "blue"), 1, True),
        (("a", "b", "c"), 2, False),
    ],
)
def test_where_no_name_settles_it_the_advice_lists_what_is_there_and_works(names, in_channels, color):
    with pytest.raises(InputError) as caught:
        choose_channels(names, color=color, in_channels=in_channels)
    message = str(caught.value)
    assert all(f"{place} {name}" in message for place, name in enumerate(names))
    advised = re.search(r"for example channels=(\d+|\[[0-9, ]+\])", message)[1].strip("[]").split(",")
    assert len(advised) in (1, in_channels)
    assert all(int(place) < len(names) for place in advised)


def test_nuclei_settle_nothing_for_a_model_of_membranes():
    with pytest.raises(InputError, match="no name says what this model segments"):
        choose_channels(["DAPI", "E-cadherin"], color=False, in_channels=1, about_nuclei=False)


def test_a_model_of_several_channels_gets_them_by_their_names():
    trained = ("DAPI", "GFP", "mCherry")
    same = choose_channels(trained, color=False, in_channels=3, trained_on=trained)
    assert (same.places, same.note) == ((0, 1, 2), "")
    turned = choose_channels(("GFP", "Cy5", "dapi", "mCherry"), color=False, in_channels=3, trained_on=trained)
    assert turned.places == (2, 0, 3)
    unnamed = choose_channels(("channel 0", "channel 1", "channel 2"), color=False, in_channels=3, trained_on=trained)
    assert unnamed.places == (0, 1, 2)
    assert "DAPI, GFP, mCherry" in unnamed.note
    with pytest.raises(InputError, match="has 2 channels"):
        choose_channels(("GFP", "Cy5"), color=False, in_channels=3, trained_on=trained)
