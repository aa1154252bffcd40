"""Small picture files in many modes, and what Pillow makes of them -> pictures/. See README.md."""
import io
import os
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps, features

from golden import HERE, fnv_hex, picture, write_json
from jpeg_writer import write_jpeg

OUT = os.path.join(HERE, "pictures")
W, H = 23, 17
cases = []  # (file name, bytes, note)


def add(name, data, note=""):
    cases.append((name, data, note))


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def pic(channels, width=W, height=H, kind="mixed", name="input"):
    a = picture(kind, width, height, channels, name)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    return Image.fromarray(a[:, :, 0] if channels == 1 else a, mode)


# ---- PNG by hand ------------------------------------------------------------------------------------------------------------

def chunk(kind, payload, bad_crc=False):
    crc = zlib.crc32(kind + payload) ^ (1 if bad_crc else 0)
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", crc)


def packed_rows(samples, depth):
    """[h, w, c] -> bytes of each row, most significant bit first."""
    h = samples.shape[0]
    flat = samples.reshape(h, -1)
    if depth == 16:
        return [row.astype(">u2").tobytes() for row in flat]
    if depth == 8:
        return [row.astype(np.uint8).tobytes() for row in flat]
    bits = ((flat[:, :, None].astype(int) >> np.arange(depth - 1, -1, -1)) & 1).reshape(h, -1).astype(np.uint8)
    return [np.packbits(row).tobytes() for row in bits]


def filtered(rows, bpp, first):
    """PNG's five filters in turn, beginning with filter number `first`; `first` None: none."""
    out, above = b"", bytes(len(rows[0]) if rows else 0)
    for y, row in enumerate(rows):
        kind = 0 if first is None else (first + y) % 5
        coded = bytearray()
        for i, x in enumerate(row):
            a = row[i - bpp] if i >= bpp else 0
            b, c = above[i], above[i - bpp] if i >= bpp else 0
            p = a + b - c
            paeth = min((a, b, c), key=lambda v: abs(p - v))
            coded.append((x - (0, a, b, (a + b) // 2, paeth)[kind]) & 255)
        out, above = out + bytes([kind]) + bytes(coded), row
    return out


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # x0, y0, dx, dy


def png(samples, color_type, depth, interlace=False, filters=0, before=b"", idat_parts=1, size=None, bad_crc=(), end=True,
        data=None, after=b""):
    h, w, c = samples.shape
    bpp = max(1, c * depth // 8)
    if data is None:
        parts = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in ADAM7] if interlace else [samples]
        raw = b"".join(filtered(packed_rows(p, depth), bpp, filters) for p in parts if p.shape[0] and p.shape[1])
        data = zlib.compress(raw, 9)
    width, height = size or (w, h)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlace)),
                                       "IHDR" in bad_crc) + before
    step = -(-len(data) // max(idat_parts, 1))
    for i in range(idat_parts):
        out += chunk(b"IDAT", data[i * step:(i + 1) * step], "IDAT" in bad_crc)
    return out + after + (chunk(b"IEND", b"") if end else b"")


def noise(channels, depth, width=W, height=H):
    a = picture("noise", width, height, channels).astype(int)
    if depth == 16:
        return a * 256 + picture("noise", width, height, channels, "low bytes")
    return a >> (8 - depth)


PALETTE = picture("noise", 256, 1, 3, "palette").reshape(256, 3)


def plte(n):
    return chunk(b"PLTE", PALETTE[:n].tobytes())


def exif(orientation, order="<"):
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(
        order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def png_cases():
    for n in (1, 2, 3, 4):
        add(f"png_{['l', 'la', 'rgb', 'rgba'][n - 1]}.png", saved(pic(n), "PNG"))
    add("png_rgb_64x48.png", saved(pic(3, 64, 48), "PNG"))
    add("png_rgb_1x1.png", saved(pic(3, 1, 1), "PNG"))
    p = Image.fromarray(noise(1, 8)[:, :, 0].astype(np.uint8), "P")
    p.putpalette(PALETTE.tobytes())
    add("png_p8.png", saved(p, "PNG"))
    add("png_p8_trns.png", saved(p, "PNG", transparency=bytes(range(0, 256, 2))), "tRNS with 128 alphas")
    add("png_p8_trns_index.png", saved(p, "PNG", transparency=7), "tRNS: index 7 transparent")
    for depth in (1, 2, 4):
        small = Image.fromarray(noise(1, depth)[:, :, 0].astype(np.uint8), "P")
        small.putpalette(PALETTE[:1 << depth].tobytes())
        add(f"png_p{depth}.png", saved(small, "PNG", bits=depth))
    add("png_1.png", saved(pic(1, kind="noise").convert("1"), "PNG"))
    add("png_l_trns.png", saved(pic(1), "PNG", transparency=100), "tRNS: grey 100 transparent")
    add("png_rgb_trns.png", saved(pic(3), "PNG", transparency=tuple(int(v) for v in picture("mixed", W, H, 3)[0, 0])),
        "tRNS: the colour of pixel 0, 0 transparent")
    for depth in (1, 2, 4):
        add(f"png_hand_l{depth}.png", png(noise(1, depth), 0, depth), "grey of few bits")
    add("png_hand_l16.png", png(noise(1, 16), 0, 16), "16-bit grey")
    ramp = (np.arange(64 * 4).reshape(4, 64, 1) * 257 + np.array([0, 127, 128, 255]).reshape(4, 1, 1)) % 65536
    add("png_hand_l16_ramp.png", png(ramp, 0, 16), "16-bit grey, each high byte with low bytes around a half")
    add("png_hand_la16.png", png(noise(2, 16), 4, 16))
    add("png_hand_rgb16.png", png(noise(3, 16), 2, 16))
    add("png_hand_rgba16.png", png(noise(4, 16), 6, 16))
    add("png_hand_l16_trns.png", png(noise(1, 16), 0, 16, before=chunk(b"tRNS", b"\x12\x34")))
    add("png_hand_filters.png", png(noise(3, 8), 2, 8, filters=1), "rows filtered 1 2 3 4 0 1 ...")
    for depth, channels, kind in ((8, 3, 2), (8, 1, 0), (1, 1, 0), (16, 4, 6), (8, 2, 4)):
        add(f"png_adam7_{channels}x{depth}.png", png(noise(channels, depth), kind, depth, interlace=True, filters=2), "interlaced")
    add("png_adam7_p4.png", png(noise(1, 4), 3, 4, interlace=True, before=plte(16)), "interlaced")
    for w, h in ((1, 1), (2, 3), (5, 1), (3, 9)):
        add(f"png_adam7_rgb_{w}x{h}.png", png(noise(3, 8, w, h), 2, 8, interlace=True), "interlaced: some passes are empty")
    add("png_hand_gama.png", png(noise(3, 8), 2, 8, before=chunk(b"gAMA", struct.pack(">I", 100000)) +
        chunk(b"sRGB", b"\0") + chunk(b"pHYs", struct.pack(">IIB", 1, 1, 0)) + chunk(b"bKGD", b"\0\1\0\2\0\3")), "gamma is ignored")
    add("png_hand_idats.png", png(noise(3, 8), 2, 8, idat_parts=7), "seven IDAT chunks")
    add("png_hand_short_plte.png", png(noise(1, 8), 3, 8, before=plte(100)), "indices beyond the palette")
    add("png_hand_rgb_plte.png", png(noise(3, 8), 2, 8, before=plte(16)), "true colour with a suggested palette")
    add("png_exif6.png", png(noise(3, 8), 2, 8, before=chunk(b"eXIf", exif(6))), "eXIf orientation 6")
    add("png_exif6_after.png", png(noise(3, 8), 2, 8, after=chunk(b"eXIf", exif(6))), "eXIf orientation 6 after IDAT")
    add("png_apng.png", saved(pic(3), "PNG", save_all=True, append_images=[pic(3, name="second frame")]), "animated: the first picture")
    add("png_trailing.png", saved(pic(3), "PNG") + b"trailing bytes")


def jpeg_cases():
    def ycc(width=W, height=H):
        return np.asarray(pic(3, width, height).convert("YCbCr")).transpose(2, 0, 1)
    add("jpeg_grey.jpg", saved(pic(1), "JPEG", quality=85))
    for name, sub in (("444", 0), ("422", 1), ("420", 2)):
        add(f"jpeg_{name}.jpg", saved(pic(3), "JPEG", quality=85, subsampling=sub))
        add(f"jpeg_{name}_64x48.jpg", saved(pic(3, 64, 48), "JPEG", quality=75, subsampling=sub))
        add(f"jpeg_{name}_17x13.jpg", saved(pic(3, 17, 13), "JPEG", quality=90, subsampling=sub))
        add(f"jpeg_{name}_progressive.jpg", saved(pic(3), "JPEG", quality=85, subsampling=sub, progressive=True))
    for w, h in ((1, 1), (2, 1), (1, 2), (3, 3), (16, 16), (33, 1)):
        add(f"jpeg_420_{w}x{h}.jpg", saved(pic(3, w, h), "JPEG", quality=90, subsampling=2))
    add("jpeg_grey_progressive.jpg", saved(pic(1), "JPEG", quality=85, progressive=True))
    add("jpeg_q100_edges.jpg", saved(pic(3, kind="edges"), "JPEG", quality=100, subsampling=0), "values outside 0..255 before clipping")
    add("jpeg_q5.jpg", saved(pic(3), "JPEG", quality=5, subsampling=2), "coarse quantisation")
    add("jpeg_optimize.jpg", saved(pic(3), "JPEG", quality=85, optimize=True), "its own Huffman tables")
    add("jpeg_restart.jpg", saved(pic(3, 64, 48), "JPEG", quality=75, subsampling=2, restart_marker_blocks=1), "restart after every MCU")
    add("jpeg_rgb.jpg", saved(pic(3), "JPEG", quality=85, keep_rgb=True), "RGB stored as it is, Adobe transform 0")
    add("jpeg_comment.jpg", saved(pic(3), "JPEG", quality=85, comment=b"a comment", dpi=(72, 72)))
    icc = struct.pack(">I", 132) + bytes(8) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(92)
    add("jpeg_icc.jpg", saved(pic(3), "JPEG", quality=85, icc_profile=icc), "a colour profile is ignored")
    cmyk = Image.fromarray(picture("mixed", W, H, 4), "CMYK")
    add("jpeg_cmyk.jpg", saved(cmyk, "JPEG", quality=85), "CMYK with Adobe marker: stored inverted")
    planes4 = picture("mixed", W, H, 4).transpose(2, 0, 1)
    one = [(1, 1)]
    add("jpeg_hand_cmyk_plain.jpg", write_jpeg(planes4, one * 4, jfif=False), "CMYK without Adobe marker: read as inverted all the same")
    add("jpeg_hand_ycck.jpg", write_jpeg(planes4, one * 4, jfif=False, adobe=2), "YCCK")
    add("jpeg_hand_ycck_420.jpg", write_jpeg(planes4, [(2, 2), (1, 1), (1, 1), (2, 2)], jfif=False, adobe=2), "YCCK 4:2:0")
    for name, first in (("440", (1, 2)), ("411", (4, 1)), ("441", (1, 4)), ("410", (4, 2))):
        for w, h in ((W, H), (64, 48)):
            add(f"jpeg_hand_{name}_{w}x{h}.jpg", write_jpeg(ycc(w, h), [first, (1, 1), (1, 1)]))
    add("jpeg_hand_221.jpg", write_jpeg(ycc(), [(2, 2), (2, 1), (1, 2)]), "Cb halved in height, Cr in width")
    add("jpeg_hand_grey22.jpg", write_jpeg(ycc()[:1], [(2, 2)]), "one component with factors 2 x 2")
    add("jpeg_hand_rgb_ids.jpg", write_jpeg(np.asarray(pic(3)).transpose(2, 0, 1), one * 3, ids=[82, 71, 66], jfif=False),
        "no marker, component ids 'R' 'G' 'B'")
    add("jpeg_hand_adobe0.jpg", write_jpeg(np.asarray(pic(3)).transpose(2, 0, 1), one * 3, jfif=False, adobe=0), "Adobe transform 0")
    add("jpeg_hand_adobe1.jpg", write_jpeg(ycc(), one * 3, jfif=False, adobe=1), "Adobe transform 1")
    add("jpeg_hand_jfif_adobe0.jpg", write_jpeg(ycc(), one * 3, adobe=0), "JFIF and Adobe transform 0: JFIF wins, YCbCr")
    add("jpeg_hand_bare.jpg", write_jpeg(ycc(), one * 3, jfif=False), "no marker, ids 1 2 3: YCbCr")
    add("jpeg_hand_bare_ids.jpg", write_jpeg(ycc(), one * 3, ids=[7, 8, 9], jfif=False), "no marker, unusual ids")
    add("jpeg_hand_scans.jpg", write_jpeg(ycc(), [(2, 2), (1, 1), (1, 1)], separate_scans=True), "baseline, one scan per component")
    add("jpeg_hand_restart.jpg", write_jpeg(ycc(), [(2, 1), (1, 1), (1, 1)], restart=2))
    add("jpeg_hand_quant16.jpg", write_jpeg(ycc(), one * 3, quant16=True), "16-bit quantisation table")
    data = saved(pic(3), "JPEG", quality=85)
    for o in (1, 2, 3, 4, 5, 6, 7, 8):
        add(f"jpeg_exif{o}.jpg", data[:2] + exif_segment(o, "<" if o % 2 else ">") + data[2:], f"EXIF orientation {o}")
    add("jpeg_exif0.jpg", data[:2] + exif_segment(0) + data[2:], "EXIF orientation 0: invalid, ignored")
    add("jpeg_exif9.jpg", data[:2] + exif_segment(9) + data[2:], "EXIF orientation 9: invalid, ignored")
    add("jpeg_exif6_grey.jpg", (g := saved(pic(1), "JPEG"))[:2] + exif_segment(6) + g[2:])
    add("jpeg_exif_short.jpg", data[:2] + app1(exif(6)[:12]) + data[2:], "EXIF cut short")
    add("jpeg_fill_bytes.jpg", data[:2] + b"\xff\xff\xff" + data[2:], "fill bytes before a marker")


def app1(tiff):
    payload = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


def exif_segment(orientation, order="<"):
    return app1(exif(orientation, order))


def other_cases():
    add("webp_lossless.webp", saved(pic(3), "WEBP", lossless=True))
    add("webp_lossless_alpha.webp", saved(pic(4), "WEBP", lossless=True, exact=True))
    add("webp_lossy.webp", saved(pic(3), "WEBP", quality=80))
    add("webp_lossy_alpha.webp", saved(pic(4), "WEBP", quality=80))
    for size in ((1, 1), (33, 1), (64, 48)):
        add(f"webp_lossy_{size[0]}x{size[1]}.webp", saved(pic(3, *size), "WEBP", quality=60))
    add("webp_lossless_grey.webp", saved(pic(1), "WEBP", lossless=True))
    add("webp_exif6.webp", saved(pic(3), "WEBP", lossless=True, exif=b"Exif\0\0" + exif(6)))
    add("webp_exif8.webp", saved(pic(3), "WEBP", quality=80, exif=exif(8, ">")))
    add("bmp_rgb.bmp", saved(pic(3), "BMP"))
    add("bmp_l.bmp", saved(pic(1), "BMP"))
    add("ppm_rgb.ppm", saved(pic(3), "PPM"))
    add("ppm_l.pgm", saved(pic(1), "PPM"))
    add("gif_p.gif", saved(pic(3).quantize(32), "GIF"))


def broken_cases():
    rgb = saved(pic(3), "PNG")
    jpeg = saved(pic(3, 64, 48), "JPEG", quality=85)
    add("bad_empty.png", b"")
    add("bad_garbage.jpg", b"this is not a picture, whatever its name says\n")
    add("bad_png_signature_only.png", rgb[:8])
    add("bad_png_half.png", rgb[:len(rgb) // 2])
    add("bad_png_no_iend.png", png(noise(3, 8), 2, 8, end=False))
    add("bad_png_crc_ihdr.png", png(noise(3, 8), 2, 8, bad_crc={"IHDR"}))
    add("bad_png_crc_idat.png", png(noise(3, 8), 2, 8, bad_crc={"IDAT"}))
    add("bad_png_crc_gama.png", png(noise(3, 8), 2, 8, before=chunk(b"gAMA", struct.pack(">I", 45455), True)))
    add("bad_png_zlib.png", png(noise(3, 8), 2, 8, data=b"\x78\x9c" + b"\xff" * 50))
    add("bad_png_short_data.png", png(noise(3, 8, W, H - 5), 2, 8, size=(W, H)), "zlib stream ends five rows early")
    add("bad_png_extra_data.png", png(noise(3, 8, W, H + 5), 2, 8, size=(W, H)), "zlib stream has five rows more")
    add("bad_png_adler.png", png(noise(3, 8), 2, 8, data=zlib.compress(filtered(packed_rows(noise(3, 8), 8), 3, 0))[:-1] + b"?"))
    add("bad_png_filter5.png", png(noise(3, 8), 2, 8, data=zlib.compress(b"".join(b"\5" + r for r in packed_rows(noise(3, 8), 8)))))
    add("bad_png_zero_width.png", png(noise(3, 8), 2, 8, size=(0, H)))
    add("bad_png_bomb.png", png(noise(3, 8), 2, 8, size=(60000, 60000)), "60000 x 60000 in the header")
    add("bad_png_huge.png", png(noise(3, 8), 2, 8, size=(0x7FFFFFFF, 0x7FFFFFFF)))
    add("bad_png_no_plte.png", png(noise(1, 8), 3, 8))
    add("bad_png_no_idat.png", png(noise(3, 8), 2, 8, idat_parts=0))
    add("bad_png_depth3.png", png(noise(1, 8), 0, 3, data=zlib.compress(bytes(500))), "bit depth 3")
    add("bad_png_rgb_depth4.png", png(noise(1, 8), 2, 4, data=zlib.compress(bytes(900))), "RGB of 4 bits")
    add("bad_jpeg_soi_only.jpg", jpeg[:2])
    add("bad_jpeg_half.jpg", jpeg[:len(jpeg) // 2])
    add("bad_jpeg_no_eoi.jpg", jpeg[:-2])
    sof = jpeg.index(b"\xff\xc0")
    add("bad_jpeg_header_only.jpg", jpeg[:sof + 19])
    add("bad_jpeg_no_dqt.jpg", jpeg[:jpeg.index(b"\xff\xdb")] + jpeg[sof:])
    add("bad_jpeg_no_dht.jpg", jpeg[:jpeg.index(b"\xff\xc4")] + jpeg[jpeg.index(b"\xff\xda"):])
    add("bad_jpeg_zero_height.jpg", jpeg[:sof + 5] + b"\0\0" + jpeg[sof + 7:])
    add("bad_jpeg_bomb.jpg", jpeg[:sof + 5] + b"\xff\xdc\xff\xdc" + jpeg[sof + 9:], "65500 x 65500 in the header")
    middle = jpeg.index(b"\xff\xda") + 14 + 200
    webp = saved(pic(3), "WEBP", quality=80)
    add("bad_webp_half.webp", webp[:len(webp) // 2])
    add("bad_webp_lossless_half.webp", (lambda d: d[:len(d) // 2])(saved(pic(3), "WEBP", lossless=True)))
    add("bad_webp_header_only.webp", webp[:20])
    add("bad_webp_riff_only.webp", webp[:12])
    add("bad_webp_zero_width.webp", webp[:26] + b"\0\0" + webp[28:])
    add("bad_webp_animated.webp", saved(pic(3), "WEBP", save_all=True, append_images=[pic(3, name="second")], duration=100))
    add("bad_jpeg_flipped.jpg", jpeg[:middle] + bytes(b ^ 0x55 for b in jpeg[middle:middle + 40]).replace(b"\xff", b"\0") + jpeg[middle + 40:],
        "entropy-coded data damaged")


def read(name, data, note):
    """What Pillow does with a file, as transformers.image_utils.load_image does it: open, exif_transpose, convert("RGB")."""
    row = {"file": name}
    stage = "open"
    warned = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            image = Image.open(io.BytesIO(data))
            row["mode"] = image.mode
            stage = "load"
            image.load()
            stage = "transpose"
            image = ImageOps.exif_transpose(image)
            stage = "convert"
            image = image.convert("RGB")
        warned = [str(w.message) for w in caught]
        row |= {"width": image.width, "height": image.height, "rgb_fnv1a64": fnv_hex(image.tobytes()),
                "gray_fnv1a64": fnv_hex(image.convert("L").tobytes()),
                "first_pixels": np.asarray(image).reshape(-1)[:12].tolist()}
    except Exception as error:  # Pillow raises many kinds
        row |= {"fails_in": stage, "error": type(error).__name__, "message": str(error).split("<")[0].strip()}
    if warned:
        row["warning"] = warned[0][:80]
    if note:
        row["note"] = note
    return row


if __name__ == "__main__":
    png_cases(), jpeg_cases(), other_cases(), broken_cases()
    os.makedirs(OUT, exist_ok=True)
    for old in os.listdir(OUT):
        os.remove(os.path.join(OUT, old))
    for name, data, _ in cases:
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(data)
    libraries = {n: features.version(n) for n in ("pil", "libjpeg_turbo", "zlib", "webp")}
    write_json(os.path.join(OUT, "pictures.json"), {"versions": libraries, "pictures": [read(*c) for c in cases]})
    print(len(cases), "pictures,", sum(len(d) for _, d, _ in cases), "bytes")
