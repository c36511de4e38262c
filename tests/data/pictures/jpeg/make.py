"""Writes the JPEG files in this folder with libjpeg-turbo, and prints for each the CRC-32 of the
RGB levels that Pillow reads from it.

Usage: python make.py    (cjpeg of libjpeg-turbo 2.1.5; Pillow 13.0.0, which contains libjpeg-turbo
3.2.0; tests/files/jpeg.rs contains the printed numbers)
"""
import subprocess
import tempfile
import zlib
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 45, 31


def pixel(x, y):
    """Slopes, hard edges of strong colours, and noise."""
    if (x - 30) ** 2 + (y - 12) ** 2 < 60:
        return 250, 20, 30
    if 5 <= x < 14 and 16 <= y < 27:
        return 30, 60, 240
    noise = (x * x * 7 + y * 13 + x * y * 5) % 17
    return 5 * x + noise, 255 - 7 * y - noise, (x * y) % 200 + noise


picture = Image.new("RGB", (WIDTH, HEIGHT))
picture.putdata([pixel(x, y) for y in range(HEIGHT) for x in range(WIDTH)])
with tempfile.TemporaryDirectory() as folder:
    picture.save(f"{folder}/picture.ppm")
    Path(folder, "scans.txt").write_text("0;\n2;\n1;\n")
    for name, options in {
        "444": ["-sample", "1x1"],
        "422": ["-sample", "2x1"],
        "440": ["-sample", "1x2"],
        "420": ["-sample", "2x2"],
        "411": ["-sample", "4x1"],
        "410": ["-sample", "4x2"],
        "grey": ["-grayscale"],
        "rgb": ["-rgb"],
        "restart": ["-restart", "2B"],
        "scans": ["-scans", f"{folder}/scans.txt"],
        "progressive": ["-progressive"],
        "arithmetic": ["-arithmetic"],
    }.items():
        command = ["cjpeg", "-quality", "80", *options, "-outfile", f"{name}.jpg", f"{folder}/picture.ppm"]
        subprocess.run(command, check=True)

black = Image.linear_gradient("L").resize(picture.size)
Image.merge("CMYK", [*picture.split(), black]).save("cmyk.jpg", quality=80)

for name in ["444", "422", "440", "420", "411", "410", "grey", "rgb", "restart", "scans", "progressive", "arithmetic",
             "cmyk"]:
    with Image.open(f"{name}.jpg") as image:
        print(f'("{name}.jpg", 0x{zlib.crc32(image.convert("RGB").tobytes()):08X}),')
