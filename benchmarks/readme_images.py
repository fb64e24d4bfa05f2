"""The images of README.md and docs/: overlay, difficulty and verdict of four kinds, and the demo's report.

All are of BBBC038 (CC0). Fluorescence and histology come with the package; bright field and the failure are read from
the set's validation images and are left as they are without ``--data``, a folder that holds ``dsb2018``.

    python benchmarks/readme_images.py --data DATA

The screenshot needs Chromium (``apt-get install chromium``) and is left out where there is none.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import cellproof
from cellproof.cli import main as cellproof_main
from cellproof.io import read_image
from cellproof.report.overlay import difficulty_picture, image_picture

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIDE_PX, GAP_PX, LINE_PX = 256, 6, 26
MOST_BYTES = 150_000
COLORS = {"accept": "#0b6b4b", "review": "#7a4d00", "reject": "#a01c0c"}
MARKS = {"accept": "✓", "review": "?", "reject": "✗"}
DSB = {"brightfield": ("c395870ad9f5", (560, 560)), "failure": ("57bd029b19c1", (0, 0))}
"""Bright field, with the corner of what is shown, and the image of the validation set on which the model does worst."""


def main() -> None:
    """Write the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="Folder that holds dsb2018.")
    options = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    examples = resources.files("cellproof") / "examples"
    for name in ("fluorescence", "histology"):
        with resources.as_file(examples / f"{name}.png") as path:
            draw_row(name, path, corner=(0, 0))
    for name, (stem, corner) in DSB.items() if options.data else ():
        draw_row(name, options.data / "dsb2018" / "val" / "images" / f"{stem}.png", corner=corner)
    take_screenshots()


def draw_row(name: str, path: Path, *, corner: tuple[int, int]) -> None:
    """Image, overlay and difficulty beside each other, the verdict below."""
    result = cellproof.segment(path)
    pixels = read_image(path).pixels[0]
    pictures = [image_picture(pixels), result.overlay(), difficulty_picture(pixels, result.difficulty)]
    squares = [_square(picture, corner) for picture in pictures]
    sheet = Image.new("RGB", (3 * SIDE_PX + 2 * GAP_PX, SIDE_PX + LINE_PX), "white")
    for place, square in enumerate(squares):
        sheet.paste(square, (place * (SIDE_PX + GAP_PX), 0))
    verdict = result.quality.verdict
    words = f"{MARKS[verdict]} {verdict}: {result.quality.why}; {result.quality.count} objects in the whole image"
    ImageDraw.Draw(sheet).text((2, SIDE_PX + 5), words, COLORS[verdict], _font(13))
    _save(sheet, IMAGES / f"{name}.png")


def take_screenshots() -> None:
    """The report of the demo on a wide page, light, and its cards on a telephone, dark."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        print("no Chromium; the screenshots are left as they are")
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        cellproof_main(["demo", "--out", str(out)])
        frame = out / "narrow.html"  # a window is at least 500 px wide
        frame.write_text('<body style="margin:0"><iframe src="report.html" style="border:0;width:390px;height:2000px">')
        for name, page, size in (("report", out / "report.html", (1240, 880)), ("report_phone", frame, (500, 2000))):
            shot = Path(folder) / f"{name}.png"
            _photograph(browser, page, shot, size, dark=name == "report_phone")
            picture = Image.open(shot).convert("RGB")
            shown = picture.crop((0, 1060, 390, 1940)) if name == "report_phone" else picture
            _save(shown, IMAGES / f"{name}.png", is_page=True)


def _photograph(browser: str, page: Path, shot: Path, size: tuple[int, int], *, dark: bool) -> None:
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    quiet += " --disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=4000"
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                *(browser, *quiet.split(), *scheme, f"--user-data-dir={profile}", f"--screenshot={shot}"),
                *(f"--window-size={size[0]},{size[1]}", page.as_uri()),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def _square(rgb: np.ndarray, corner: tuple[int, int]) -> Image.Image:
    """A square of the image, as large as its shorter side or the sheet's, in the sheet's size."""
    side = min(*rgb.shape[:2], SIDE_PX)
    top, left = (min(at, length - side) for at, length in zip(corner, rgb.shape[:2], strict=True))
    cut = Image.fromarray(rgb[top : top + side, left : left + side])
    return cut.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


def _save(picture: Image.Image, path: Path, *, is_page: bool = False) -> None:
    """PNG of as many colors as fit into the size that a README may have."""
    for colors in (256, 128, 64, 32):
        if is_page:
            small = picture.quantize(colors, dither=Image.Dither.NONE)
        else:
            # Unlike the median cut, this keeps colors that few pixels have: those of outlines.
            palette = picture.quantize(colors, method=Image.Quantize.MAXCOVERAGE)
            small = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        small.save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            break
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB, {colors} colors")


def _font(size_px: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size_px)


if __name__ == "__main__":
    main()
