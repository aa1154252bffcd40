"""torch.nn.functional.unfold, fold and conv2d with every geometry -> convolution/. See README.md."""
import os

import numpy as np
import torch
import torch.nn.functional as F

from golden import HERE, floats, fnv_hex, picture, write_json

OUT = os.path.join(HERE, "convolution")
CASES = [  # height, width, channels, kernel, stride, padding, dilation, out channels
    (5, 7, 1, (1, 1), (1, 1), (0, 0), (1, 1), 3), (8, 8, 3, (3, 3), (1, 1), (1, 1), (1, 1), 5),
    (9, 12, 3, (3, 3), (2, 2), (1, 1), (1, 1), 16), (11, 10, 3, (3, 5), (2, 1), (0, 2), (1, 1), 7),
    (13, 9, 2, (3, 3), (1, 2), (2, 2), (2, 2), 17), (12, 17, 4, (2, 3), (3, 2), (1, 0), (4, 3), 9),
    (6, 6, 3, (6, 6), (1, 1), (0, 0), (1, 1), 130), (7, 5, 3, (1, 4), (1, 1), (3, 5), (1, 1), 4),
    (4, 4, 5, (3, 3), (4, 4), (6, 7), (1, 1), 8), (20, 15, 3, (7, 7), (4, 4), (3, 3), (1, 1), 12),
    (10, 10, 70, (3, 3), (2, 2), (1, 1), (1, 1), 6), (1, 9, 1, (1, 3), (1, 1), (0, 1), (1, 3), 2),
    (3, 3, 2, (3, 3), (5, 5), (4, 4), (1, 1), 65), (16, 16, 3, (4, 4), (4, 4), (0, 0), (1, 1), 32),
]


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    for old in os.listdir(OUT):
        os.remove(os.path.join(OUT, old))
    rows = []
    for index, (h, w, c, kernel, stride, padding, dilation, out) in enumerate(CASES):
        geometry = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        pixels = torch.from_numpy(picture("noise", w, h, c)).permute(2, 0, 1)[None]
        columns = F.unfold(pixels.float(), **geometry).transpose(1, 2).contiguous()[0]  # [N, C * KH * KW]
        # Columns that disagree where they overlap; their sums are whole numbers, exact in f32.
        other = torch.from_numpy(picture("noise", columns.shape[1], columns.shape[0], 1, "columns")[:, :, 0].copy()).float()
        folded = F.fold(other.T[None], (h, w), **geometry)[0].permute(1, 2, 0).contiguous()
        # Convolutions in f64, of numbers that f32 holds: of the pixels / 255, and of a tensor with both signs.
        weight = torch.from_numpy(floats("weight", (out, c, *kernel), "linear", 0.25)).double()
        bias = torch.from_numpy(floats("bias", (out,), "bias", 0.5)).double()
        signed = torch.from_numpy(floats("input", (h, w, c), "linear", 4.0)).permute(2, 0, 1)[None].double()
        rest = {"stride": stride, "padding": padding, "dilation": dilation}
        for name, x in (("pixels", pixels.double() / 255), ("signed", signed)):
            y = F.conv2d(x, weight, bias, **rest)[0].permute(1, 2, 0).contiguous()  # [OH, OW, out]
            np.save(os.path.join(OUT, f"{name}_{index:02}.npy"), y.float().numpy())
        rows.append({"height": h, "width": w, "channels": c, "kernel": kernel, "stride": stride, "padding": padding,
                     "dilation": dilation, "out_channels": out, "rows": y.shape[0], "columns": y.shape[1],
                     "unfold_f32_fnv1a64": fnv_hex(columns.numpy().tobytes()),
                     "unfold_u8_fnv1a64": fnv_hex(columns.numpy().astype(np.uint8).tobytes()),
                     "fold_f32_hwc_fnv1a64": fnv_hex(folded.numpy().tobytes())})
    write_json(os.path.join(OUT, "cases.json"), {"versions": {"torch": torch.__version__}, "cases": rows})
    print(len(rows), "cases")
