"""What every make_*.py here shares: the pseudo-random generator, the pictures made with it, and the hash of results.

Everything is integer arithmetic or exact in f32, so that a C++ test makes the same bytes. README.md has the definition in words.
"""
import json
import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN_RATIO = 0x9E3779B97F4A7C15


def fnv1a64(data):
    """FNV-1a, 64 bit, of bytes (or of a str's UTF-8)."""
    if isinstance(data, str):
        data = data.encode()
    h = 0xCBF29CE484222325
    for byte in bytes(data):
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def fnv_hex(data):
    return f"{fnv1a64(data):016x}"


def bits(name, count):
    """u64 [count]: element i is splitmix64's mix of fnv1a64(name) + (i + 1) * 0x9E3779B97F4A7C15."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a64(name)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN_RATIO)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def floats(name, shape, rule, scale):
    """f32 [shape], exact: ((bits >> 48) - 32768) / 32768 * scale, plus 1 where the rule is "norm_weight"."""
    r = (bits(name, int(np.prod(shape))) >> np.uint64(48)).astype(np.int64) - 32768
    exact = r.astype(np.float64) / 32768.0 * scale + (1.0 if rule == "norm_weight" else 0.0)
    result = exact.astype(np.float32)
    assert (result.astype(np.float64) == exact).all()
    return result.reshape(shape)


def picture(kind, width, height, channels, name="input"):
    """u8 [height, width, channels]; i = (y * width + x) * channels + c counts its elements.

    noise   bits >> 56
    mixed   (noise + 3 * ramp + 2) / 4 with ramp = gx, gy, (gx + gy) / 2 for c % 3 = 0, 1, 2;
            gx = x * 255 / max(width - 1, 1), gy = y * 255 / max(height - 1, 1)     (all divisions round down)
    edges   (bits >> 63) * 255: only 0 and 255, so that the filters with negative lobes clip
    """
    z = bits(name, width * height * channels).reshape(height, width, channels)
    if kind == "edges":
        return ((z >> np.uint64(63)) * np.uint64(255)).astype(np.uint8)
    noise = (z >> np.uint64(56)).astype(np.int64)
    if kind == "noise":
        return noise.astype(np.uint8)
    assert kind == "mixed", kind
    gx = np.broadcast_to(np.arange(width) * 255 // max(width - 1, 1), (height, width))
    gy = np.broadcast_to((np.arange(height) * 255 // max(height - 1, 1))[:, None], (height, width))
    ramp = np.stack([(gx, gy, (gx + gy) // 2)[c % 3] for c in range(channels)], axis=2)
    return ((noise + 3 * ramp + 2) // 4).astype(np.uint8)


def write_json(path, value):
    """One line per element of the outer list or object: small files whose diffs can be read."""
    def line(v):
        return json.dumps(v, separators=(", ", ": "))
    if isinstance(value, dict):
        rows = [f"{json.dumps(k)}: {_block(v, line)}" for k, v in value.items()]
        text = "{\n" + ",\n".join(rows) + "\n}\n"
    else:
        text = _block(value, line) + "\n"
    with open(path, "w") as f:
        f.write(text)


def _block(v, line):
    if isinstance(v, list) and v and isinstance(v[0], dict):
        return "[\n" + ",\n".join(line(e) for e in v) + "\n]"
    return line(v)
