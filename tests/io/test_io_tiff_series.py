"""Positions, siblings and previews: every image of a file is read under its own axes, or named as left out."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from cellproof.checks import InputError
from cellproof.io import describe_absence, list_positions, read_image, read_labels, write_labels
from cellproof.types import Spacing


def _ramp(seed, shape=(9, 12)):
    return np.random.default_rng(seed).integers(0, 4000, shape, dtype=np.uint16)


def _write_positions(path, stacks, **metadata):
    with tifffile.TiffWriter(path, ome=True) as tif:
        for number, stack in enumerate(stacks):
            own = {key: value[number] for key, value in metadata.items()}
            tif.write(stack, photometric="minisblack", metadata={"axes": "YX", "Name": f"well {number}", **own})


def test_each_position_has_its_own_pixels_name_and_pixel_size(tmp_path):
    stacks = [_ramp(0), _ramp(1, (7, 5)), _ramp(2)]
    _write_positions(tmp_path / "a.ome.tif", stacks, PhysicalSizeX=[0.1, 0.2, 0.4], PhysicalSizeY=[0.1, 0.2, 0.8])
    positions = list_positions(tmp_path / "a.ome.tif")
    assert [(one.number, one.name) for one in positions] == [(0, "well 0"), (1, "well 1"), (2, "well 2")]
    for number, stack in enumerate(stacks):
        image = read_image(tmp_path / "a.ome.tif", position=number)
        np.testing.assert_array_equal(image.pixels[0, 0], stack)
        assert image.pixel_size_um == pytest.approx([0.1, 0.2, 0.4][number])
    assert image.spacing.y_um == pytest.approx(0.8)
    assert image.spacing.pixel_side_um == pytest.approx((0.4 * 0.8) ** 0.5)
    first = read_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(first.pixels[0, 0], stacks[0])
    assert any("3 images; number 0 (well 0) was read" in note for note in first.notes)
    with pytest.raises(InputError, match="position 3 asked for; the file holds 0, 1, 2"):
        read_image(tmp_path / "a.ome.tif", position=3)


def _write_set(folder, planes, *, sizes, places):
    """One OME-TIFF a plane, each with the XML of all; ``places`` gives image and T of each plane."""
    images = sorted({image for image, _ in places})
    xml = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:OWN">'
    for image in images:
        xml += (
            f'<Image ID="Image:{image}" Name="field {image}"><Pixels ID="Pixels:{image}" DimensionOrder="XYZCT" '
            f'Type="uint16" SizeX="12" SizeY="9" SizeZ="1" SizeC="1" SizeT="{sizes}" PhysicalSizeX="0.5" '
            'PhysicalSizeY="0.5"><Channel ID="C" SamplesPerPixel="1"/>'
        )
        for number, (own, t) in enumerate(places):
            if own == image:
                xml += (
                    f'<TiffData FirstT="{t}" IFD="0" PlaneCount="1"><UUID FileName="s{number}.ome.tif">'
                    f"urn:uuid:{number}</UUID></TiffData>"
                )
        xml += "</Pixels></Image>"
    xml += "</OME>"
    for number, plane in enumerate(planes):
        text = xml.replace("urn:uuid:OWN", f"urn:uuid:{number}").encode()
        tifffile.imwrite(folder / f"s{number}.ome.tif", plane, description=text, metadata=None)


def test_positions_in_files_of_their_own_are_each_read_from_their_file(tmp_path):
    planes = [_ramp(0), _ramp(1)]
    _write_set(tmp_path, planes, sizes=1, places=[(0, 0), (1, 0)])
    for number, plane in enumerate(planes):
        path = tmp_path / f"s{number}.ome.tif"
        image = read_image(path)
        np.testing.assert_array_equal(image.pixels[0, 0], plane)
        assert image.pixel_size_um == 0.5
        here = [one.number for one in list_positions(path) if not one.elsewhere]
        assert here == [number]


def test_a_series_over_files_is_read_whole_from_the_first_with_the_axes_of_its_xml(tmp_path):
    planes = [_ramp(0), _ramp(1), _ramp(2)]
    _write_set(tmp_path, planes, sizes=3, places=[(0, 0), (0, 1), (0, 2)])
    image = read_image(tmp_path / "s0.ome.tif")
    assert (image.plane_axes, image.plane_shape) == ("T", (3,))
    np.testing.assert_array_equal(image.pixels[:, 0], np.stack(planes))
    with pytest.raises(InputError, match=r"begins in s0\.ome\.tif; give that file"):
        read_image(tmp_path / "s2.ome.tif")


def test_a_missing_sibling_is_named_and_the_positions_that_are_there_are_read(tmp_path):
    planes = [_ramp(0), _ramp(1), _ramp(2)]
    _write_set(tmp_path, planes, sizes=2, places=[(0, 0), (1, 0), (1, 1)])
    (tmp_path / "s2.ome.tif").unlink()
    positions = list_positions(tmp_path / "s1.ome.tif")
    assert positions[1].missing == ("s2.ome.tif",)
    assert "s2.ome.tif" in describe_absence(positions[1])
    with pytest.raises(InputError, match=r"missing: s2\.ome\.tif"):
        read_image(tmp_path / "s1.ome.tif", position=1)
    (tmp_path / "s1.ome.tif").unlink()


def test_planes_in_other_folders_are_never_opened(tmp_path):
    _write_set(tmp_path, [_ramp(0), _ramp(1)], sizes=2, places=[(0, 0), (0, 1)])
    path = tmp_path / "s0.ome.tif"
    with tifffile.TiffFile(path) as tif:
        xml = tif.ome_metadata.replace("s1.ome.tif", "../s1.ome.tif")
    tifffile.imwrite(path, _ramp(0), description=xml.encode(), metadata=None)
    with pytest.raises(InputError, match="other folders"):
        read_image(path)


@pytest.mark.parametrize("order", ["preview first", "image first"])
@pytest.mark.parametrize("marked", [True, False])
def test_the_full_image_is_read_and_what_was_left_out_is_said(tmp_path, order, marked):
    image, small, label = _ramp(0, (64, 80)), _ramp(1, (16, 20)), _ramp(2, (30, 10))
    pages = [(small, 1), (label, 0), (image, 0)] if order == "preview first" else [(image, 0), (small, 1), (label, 0)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for page, kind in pages:
            tif.write(page, photometric="minisblack", subfiletype=kind if marked else 0, metadata=None)
    read = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read.pixels[0, 0], image)
    # Behind the image, what shows it smaller is a level of its pyramid and no other image.
    others = ["30 × 10", "16 × 20"] if order == "preview first" else ["30 × 10"]
    assert any("64 × 80, was read" in note and all(size in note for size in others) for note in read.notes)
    assert len(list_positions(tmp_path / "a.tif")) == 1


def test_label_and_macro_images_of_ome_are_no_positions(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        for name, shape in (("scan", (40, 50)), ("label image", (12, 9)), ("macro image", (10, 30))):
            tif.write(_ramp(0, shape), photometric="minisblack", metadata={"axes": "YX", "Name": name})
    assert [one.number for one in list_positions(tmp_path / "a.ome.tif")] == [0]
    image = read_image(tmp_path / "a.ome.tif")
    assert image.pixels.shape == (1, 1, 40, 50)
    assert sum("is a preview" in note for note in image.notes) == 2


def test_an_aperio_scan_is_read_at_full_resolution_with_its_pixel_size(tmp_path):
    scan = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    text = "Aperio Image Library v11.2.1 \r\n128x96 [0,0 128x96] (240x240) |AppMag = 20|MPP = 0.4990"
    with tifffile.TiffWriter(tmp_path / "a.svs") as tif:
        tif.write(scan, photometric="rgb", tile=(32, 32), description=text, metadata=None)
        tif.write(scan[::4, ::4], photometric="rgb", description="Aperio Image Library v11.2.1\r\nthumb", metadata=None)
    image = read_image(tmp_path / "a.svs")
    np.testing.assert_array_equal(image.pixels[0], scan.transpose(2, 0, 1))
    assert image.pixel_size_um == pytest.approx(0.499)
    assert image.color
    assert any("24 × 32" in note for note in image.notes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"imagej": True, "resolution": (72, 72), "metadata": {"unit": "inch"}}, "72 per inch"),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, "300 per inch"),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.3, "PhysicalSizeXUnit": "m"}}, "0.3 m"),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.0}}, "positive"),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": "NaN"}}, "positive"),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.0001}}, "1 nm to 100 µm"),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 250.0}}, "1 nm to 100 µm"),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 1.0, "PhysicalSizeXUnit": "pc"}}, "no unit"),
        ({"imagej": True, "resolution": (1, 1), "metadata": {"unit": "parsec"}}, "no unit"),
    ],
)
def test_a_pixel_size_that_cannot_be_is_not_believed_and_that_is_said(tmp_path, options, said):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8), **options)
    image = read_image(tmp_path / "a.tif")
    assert image.spacing == Spacing()
    assert [note for note in image.notes if "is not believed" in note and said in note]


@pytest.mark.parametrize("kind", ["ome", "imagej", "plain"])
def test_width_and_height_of_pixels_are_both_read(tmp_path, kind):
    pixels, path = np.zeros((4, 5), np.uint8), tmp_path / "a.tif"
    if kind == "ome":
        sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 500.0, "PhysicalSizeYUnit": "nm"}
        tifffile.imwrite(path, pixels, ome=True, metadata={"axes": "YX", **sizes})
    elif kind == "imagej":
        tifffile.imwrite(path, pixels, imagej=True, resolution=(4, 2), metadata={"unit": "micron"})
    else:
        tifffile.imwrite(path, pixels, resolution=(40_000, 20_000), resolutionunit="CENTIMETER")
    image = read_image(path)
    assert (image.spacing.x_um, image.spacing.y_um) == (pytest.approx(0.25), pytest.approx(0.5))
    assert any("not square" in note for note in image.notes)


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_spacing_of_planes_and_times_comes_back_in_label_files(tmp_path, kind):
    stack, path = np.zeros((2, 3, 4, 5), np.uint16), tmp_path / "a.tif"
    if kind == "ome":
        sizes = {"PhysicalSizeX": 0.2, "PhysicalSizeY": 0.4, "PhysicalSizeZ": 1500.0, "PhysicalSizeZUnit": "nm"}
        times = {"TimeIncrement": 5.0, "TimeIncrementUnit": "min"}
        tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata={"axes": "TZYX", **sizes, **times})
    else:
        metadata = {"axes": "TZYX", "spacing": 1.5, "unit": "um", "finterval": 5.0, "tunit": "min"}
        tifffile.imwrite(path, stack, imagej=True, resolution=(5, 2.5), metadata=metadata)
    image = read_image(path)
    write_labels(
        tmp_path / "b.tif",
        image.pixels[:, 0],
        plane_axes=image.plane_axes,
        plane_shape=image.plane_shape,
        spacing=image.spacing,
        channel_names=("DAPI",),
    )
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        assert tif.series[0].axes == "TZYX"
        said = dict(re.findall(r'(PhysicalSize\w+|TimeIncrement\w*|Name)="([^"]*)"', tif.ome_metadata))
    assert said["Name"] == "DAPI"
    assert [float(said[f"PhysicalSize{axis}"]) for axis in "XYZ"] == pytest.approx([0.2, 0.4, 1.5])
    assert [said[f"PhysicalSize{axis}Unit"] for axis in "XYZ"] == ["µm"] * 3
    assert (float(said["TimeIncrement"]), said["TimeIncrementUnit"]) == (5.0, "min")
    assert read_image(tmp_path / "b.tif").spacing == image.spacing


def test_channels_are_found_by_name_number_and_part_of_a_name(tmp_path):
    stack = np.stack([_ramp(0), _ramp(1)])
    names = {"axes": "CYX", "Channel": {"Name": ["actin", "DAPI (405)"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, ome=True, photometric="minisblack", metadata=names)
    for asked in ("dapi (405)", "DAPI", 1):
        image = read_image(tmp_path / "a.ome.tif", channels=(asked,))
        np.testing.assert_array_equal(image.pixels[0, 0], stack[1])
        assert (image.channel_names, image.color) == (("DAPI (405)",), False)
    with pytest.raises(InputError, match=r"0 actin, 1 DAPI \(405\)"):
        read_image(tmp_path / "a.ome.tif", channels=("GFP",))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["DAPI", "GFP"], ("DAPI", "GFP")),
        (["c:1/2 - Hoechst", "c:2/2 - GFP"], ("Hoechst", "GFP")),
        (["same", "same"], ("channel 0", "channel 1")),
    ],
)
def test_channel_names_of_imagej_are_read_from_its_labels(tmp_path, labels, names):
    stack = np.stack([_ramp(0), _ramp(1)])
    metadata = {"axes": "CYX", "mode": "composite", "Labels": labels}
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata=metadata)
    image = read_image(tmp_path / "a.tif")
    assert (image.channel_names, image.color) == (names, False)


def test_three_channels_are_a_color_only_where_the_file_says_so(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 21, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", pixels, photometric="rgb")
    tifffile.imwrite(tmp_path / "samples.tif", pixels, photometric="minisblack", planarconfig="contig")
    planes = np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(tmp_path / "c.ome.tif", planes, ome=True, photometric="minisblack", metadata={"axes": "CYX"})
    assert read_image(tmp_path / "rgb.tif").color
    assert read_image(tmp_path / "samples.tif").color
    assert not read_image(tmp_path / "c.ome.tif").color


def test_color_masks_are_read_as_one_number_a_color(tmp_path):
    colors = np.zeros((8, 8, 3), np.uint8)
    colors[:4, :4], colors[5:, 5:] = (255, 0, 0), (0, 0, 255)
    Pillow.fromarray(colors).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", colors, photometric="rgb")
    palette = Pillow.fromarray(colors).quantize(3)
    palette.save(tmp_path / "palette.png")
    for name in ("a.png", "a.tif"):
        labels = read_labels(tmp_path / name)
        assert sorted(np.unique(labels)) == [0, 0x0000FF, 0xFF0000]
        assert labels[0, 0] == 0xFF0000
    assert (read_labels(tmp_path / "palette.png") > 0).sum() == 16 + 9


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255)])
def test_transparent_pixels_of_a_mask_are_background(tmp_path, hidden):
    colors = np.zeros((8, 8, 4), np.uint8)
    colors[..., :3] = hidden
    colors[2:5, 2:5] = (0, 255, 0, 255)
    Pillow.fromarray(colors).save(tmp_path / "a.png")
    labels = read_labels(tmp_path / "a.png")
    assert labels[3, 3] == 0x00FF00
    assert (labels > 0).sum() == 9
