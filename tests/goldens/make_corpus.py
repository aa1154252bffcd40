"""Small picture files in every mode that is read, and their Image.resize by all six filters -> corpus/. See README.md.

What an image processor sees: transformers.image_utils.load_image (open, exif_transpose, convert("RGB")), then resize.
"""
import io
import os

import numpy as np
import PIL
from PIL import Image, features
from transformers.image_utils import load_image

from golden import HERE, fnv_hex, picture, write_json
from make_modes import PALETTE, noise, png, saved
from make_resize import FILTERS

OUT = os.path.join(HERE, "corpus")
STORED = 36  # a result of at most this many bytes is stored as it is, else its hash

# Source sizes: odd, a pixel, a row, a column; each to smaller, larger and mixed sizes, and to one side unchanged.
TARGETS = {
    (23, 17): [(11, 8), (46, 34), (7, 29), (40, 5), (23, 6), (9, 17), (1, 1), (4, 3)],
    (1, 1): [(1, 1), (5, 3), (4, 2)],
    (31, 1): [(7, 1), (50, 9), (3, 4)],
    (1, 26): [(1, 9), (12, 33), (3, 4)],
}


def array(channels, w, h, kind="mixed"):
    return picture(kind, w, h, channels)


def image(mode, channels, w, h, kind="mixed"):
    a = array(channels, w, h, kind)
    return Image.fromarray(a[:, :, 0] if channels == 1 else a, mode)


def palette(w, h):
    p = Image.fromarray(array(1, w, h, "noise")[:, :, 0], "P")
    p.putpalette(PALETTE.tobytes())
    return p


def one_bit(w, h):
    return Image.fromarray(array(1, w, h, "edges")[:, :, 0], "L").convert("1")


def cmyk(w, h, **options):
    return saved(Image.fromarray(array(4, w, h), "CMYK"), "JPEG", quality=90, **options)


KINDS = {  # name: (w, h) -> file
    "1.png": lambda w, h: saved(one_bit(w, h), "PNG"),
    "L.png": lambda w, h: saved(image("L", 1, w, h), "PNG"),
    "LA.png": lambda w, h: saved(image("LA", 2, w, h), "PNG"),
    "P.png": lambda w, h: saved(palette(w, h), "PNG"),
    "P_alpha.png": lambda w, h: saved(palette(w, h), "PNG", transparency=bytes(range(0, 256, 2))),
    "RGB.png": lambda w, h: saved(image("RGB", 3, w, h, "edges"), "PNG"),
    "RGBA.png": lambda w, h: saved(image("RGBA", 4, w, h), "PNG"),
    # Values above 255 are clipped to white: here a third of them, not nearly all.
    "L16.png": lambda w, h: png(noise(1, 16, w, h) % 400, 0, 16),
    "LA16.png": lambda w, h: png(noise(2, 16, w, h), 4, 16),
    "RGB16.png": lambda w, h: png(noise(3, 16, w, h), 2, 16),
    "RGBA16.png": lambda w, h: png(noise(4, 16, w, h), 6, 16),
    "L.jpg": lambda w, h: saved(image("L", 1, w, h), "JPEG", quality=90),
    "YCbCr_420.jpg": lambda w, h: saved(image("RGB", 3, w, h), "JPEG", quality=90, subsampling=2),
    "CMYK.jpg": cmyk,
    "RGB_lossy.webp": lambda w, h: saved(image("RGB", 3, w, h), "WEBP", quality=80),
    "RGBA_lossless.webp": lambda w, h: saved(image("RGBA", 4, w, h), "WEBP", lossless=True, exact=True),
    "L.pgm": lambda w, h: saved(image("L", 1, w, h), "PPM"),
    "RGB.ppm": lambda w, h: saved(image("RGB", 3, w, h), "PPM"),
}


def expected(pixels):
    data = np.asarray(pixels).tobytes()
    return data.hex() if len(data) <= STORED else fnv_hex(data)


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    for old in os.listdir(OUT):
        os.remove(os.path.join(OUT, old))
    rows, total = [], 0
    for kind, make in KINDS.items():
        for (w, h), targets in TARGETS.items():
            data = make(w, h)
            name = f"{w}x{h}_{kind}"
            with open(os.path.join(OUT, name), "wb") as f:
                f.write(data)
            total += len(data)
            source = load_image(Image.open(io.BytesIO(data)))
            assert source.size == (w, h) and source.mode == "RGB", name
            rows.append({"file": name, "mode": Image.open(io.BytesIO(data)).mode} | {
                f"{tw}x{th}": [expected(source.resize((tw, th), code)) for code in FILTERS.values()] for tw, th in targets})
    versions = {n: features.version(n) for n in ("pil", "libjpeg_turbo", "zlib", "webp")}
    write_json(os.path.join(OUT, "corpus.json"), {"versions": versions, "filters": list(FILTERS), "pictures": rows})
    print(len(rows), "pictures,", total, "bytes; Pillow", PIL.__version__)
