"""A small baseline JPEG encoder for the files that Pillow cannot write: any sampling factors, any component ids, separate scans,
restart intervals, 16-bit quantisation tables, with or without JFIF and Adobe markers. Slow and plain."""
import struct

import numpy as np

ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, (i // 8 if (i // 8 + i % 8) % 2 else i % 8)))
# ITU-T T.81 tables K.3 and K.5: code lengths, then symbols.
DC_BITS = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
DC_VALUES = list(range(12))
AC_BITS = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125]
AC_VALUES = list(bytes.fromhex(
    "0102030004110512213141061351610722711432 8191a1082342b1c11552d1f02433627282090a161718191a25262728292a"
    "3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798"
    "999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6"
    "f7f8f9fa".replace(" ", "")))
_u = np.arange(8)
DCT = np.cos((2 * _u[None, :] + 1) * _u[:, None] * np.pi / 16) * np.where(_u[:, None] == 0, np.sqrt(1 / 8), 0.5)


def _codes(counts, values):
    table, code, k = {}, 0, 0
    for length, n in enumerate(counts, 1):
        for _ in range(n):
            table[values[k]] = (code, length)
            code, k = code + 1, k + 1
        code <<= 1
    return table


DC, AC = _codes(DC_BITS, DC_VALUES), _codes(AC_BITS, AC_VALUES)


class _Bits:
    def __init__(self):
        self.out, self.value, self.count = bytearray(), 0, 0

    def put(self, code, length):
        self.value, self.count = (self.value << length) | code, self.count + length
        while self.count >= 8:
            self.count -= 8
            byte = (self.value >> self.count) & 255
            self.out += bytes([byte, 0]) if byte == 255 else bytes([byte])
            self.value &= (1 << self.count) - 1

    def flush(self):
        if self.count:
            self.put((1 << (8 - self.count)) - 1, 8 - self.count)


def _magnitude(bits, v):
    size = int(abs(v)).bit_length()
    return size, (v if v >= 0 else v + (1 << size) - 1)


def _block(bits, q, previous_dc):
    z = [int(q.flat[i]) for i in ZIGZAG]
    size, extra = _magnitude(bits, z[0] - previous_dc)
    bits.put(*DC[size])
    bits.put(extra, size)
    run = 0
    last = max((i for i in range(1, 64) if z[i]), default=0)
    for i in range(1, last + 1):
        if z[i] == 0:
            run += 1
            continue
        while run > 15:
            bits.put(*AC[0xF0])
            run -= 16
        size, extra = _magnitude(bits, z[i])
        bits.put(*AC[run << 4 | size])
        bits.put(extra, size)
        run = 0
    if last < 63:
        bits.put(*AC[0])
    return z[0]


def _segment(marker, payload):
    return struct.pack(">BBH", 255, marker, len(payload) + 2) + payload


def write_jpeg(planes, sampling, ids=None, quant=4, jfif=True, adobe=None, separate_scans=False, restart=0, quant16=False):
    """planes u8 [components, height, width]; sampling [(h, v)] per component; adobe: the transform byte, or None for no marker."""
    n, height, width = planes.shape
    ids = ids or list(range(1, n + 1))
    hmax, vmax = max(h for h, _ in sampling), max(v for _, v in sampling)
    mcus_x, mcus_y = -(-width // (8 * hmax)), -(-height // (8 * vmax))
    out = bytearray(b"\xff\xd8")
    if jfif:
        out += _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    if adobe is not None:
        out += _segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([adobe]))
    table = np.full((8, 8), quant) + np.add.outer(_u, _u) * quant // 4
    zz = [int(table.flat[i]) for i in ZIGZAG]
    out += _segment(0xDB, b"\x10" + struct.pack(">64H", *zz) if quant16 else b"\0" + bytes(zz))
    out += _segment(0xC0, struct.pack(">BHHB", 8, height, width, n)
                    + b"".join(bytes([i, h << 4 | v, 0]) for i, (h, v) in zip(ids, sampling)))
    out += _segment(0xC4, b"\0" + bytes(DC_BITS) + bytes(DC_VALUES)) + _segment(0xC4, b"\x10" + bytes(AC_BITS) + bytes(AC_VALUES))
    if restart:
        out += _segment(0xDD, struct.pack(">H", restart))

    blocks = []
    for plane, (h, v) in zip(planes.astype(np.float64), sampling):
        padded = np.pad(plane, ((0, mcus_y * 8 * vmax - height), (0, mcus_x * 8 * hmax - width)), mode="edge")
        fy, fx = vmax // v, hmax // h
        small = padded.reshape(padded.shape[0] // fy, fy, padded.shape[1] // fx, fx).mean((1, 3)).round() - 128
        cells = small.reshape(small.shape[0] // 8, 8, small.shape[1] // 8, 8).transpose(0, 2, 1, 3)
        blocks.append(np.round(DCT @ cells @ DCT.T / table).astype(int))

    def scan(components):
        nonlocal out
        out += _segment(0xDA, bytes([len(components)]) + b"".join(bytes([ids[c], 0]) for c in components) + b"\0\x3f\0")
        bits, dc, done = _Bits(), [0] * n, 0
        if len(components) == 1:  # not interleaved: only the blocks the component's own size needs
            c = components[0]
            h, v = sampling[c]
            units = [[(c, y, x)] for y in range(-(-(-(-height * v // vmax)) // 8)) for x in range(-(-(-(-width * h // hmax)) // 8))]
        else:
            units = [[(c, my * sampling[c][1] + y, mx * sampling[c][0] + x) for c in components
                      for y in range(sampling[c][1]) for x in range(sampling[c][0])]
                     for my in range(mcus_y) for mx in range(mcus_x)]
        for unit in units:
            if restart and done and done % restart == 0:
                bits.flush()
                bits.out += bytes([255, 0xD0 + (done // restart - 1) % 8])
                dc = [0] * n
            for c, y, x in unit:
                dc[c] = _block(bits, blocks[c][y, x], dc[c])
            done += 1
        bits.flush()
        out += bits.out

    if separate_scans:
        for c in range(n):
            scan([c])
    else:
        scan(list(range(n)))
    return bytes(out + b"\xff\xd9")
