"""Makes the pictures in this folder for which the image crate has no encoder, and prints the pixels
that Pillow reads from them.

Usage: python make.py    (Pillow 13.0.0; tests/files/picture.rs contains the printed numbers)
"""
from PIL import Image, ImageOps

COLOURS = [(250, 20, 30), (10, 200, 40), (60, 70, 240), (220, 210, 0)]

palette = Image.new("P", (2, 2))
palette.putpalette([level for colour in COLOURS for level in colour])
palette.putdata([0, 1, 2, 3])
palette.save("palette.png", transparency=1)
palette.save("palette.gif", transparency=2)
palette.save("palette.bmp")

bilevel = Image.new("1", (2, 2))
bilevel.putdata([0, 255, 255, 0])
bilevel.save("bilevel.png")

cmyk = Image.new("CMYK", (16, 16), (20, 100, 180, 40))
cmyk.save("cmyk.jpg", quality=95)
cmyk.resize((2, 2)).save("cmyk.tif")

turned = palette.convert("RGB")
turned.save("turned.tif", tiffinfo={274: 6})  # orientation: the first stored row is the right side

plain = Image.new("RGB", (16, 16), COLOURS[2])
plain.paste(COLOURS[3], (8, 0, 16, 16))
plain.save("progressive.jpg", quality=95, progressive=True)
plain.save("lossy.webp", quality=95)

for name in ["palette.png", "palette.gif", "palette.bmp", "bilevel.png", "cmyk.jpg", "cmyk.tif", "turned.tif",
             "progressive.jpg", "lossy.webp"]:
    with Image.open(name) as image:
        rgb = ImageOps.exif_transpose(image).convert("RGB")
        corners = [(0, 0), (rgb.width - 1, 0), (0, rgb.height - 1), (rgb.width - 1, rgb.height - 1)]
        print(name, rgb.size, [rgb.getpixel(corner) for corner in corners])
