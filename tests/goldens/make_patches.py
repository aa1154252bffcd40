"""torch.nn.functional.unfold and fold of small pictures -> patches/. See README.md."""
import os

import numpy as np
import torch
import torch.nn.functional as F

from golden import HERE, fnv_hex, picture, write_json

OUT = os.path.join(HERE, "patches")
CASES = [  # width, height, channels, (patch height, width), (stride y, x), (padding y, x)
    (8, 8, 1, (4, 4), (4, 4), (0, 0)), (8, 8, 3, (4, 4), (4, 4), (0, 0)), (12, 6, 3, (2, 3), (2, 3), (0, 0)),
    (7, 5, 3, (5, 7), (5, 7), (0, 0)), (9, 7, 2, (1, 1), (1, 1), (0, 0)), (64, 48, 3, (16, 16), (16, 16), (0, 0)),
    (56, 42, 3, (14, 14), (14, 14), (0, 0)), (33, 18, 4, (3, 11), (3, 11), (0, 0)), (1, 1, 1, (1, 1), (1, 1), (0, 0)),
    (10, 10, 3, (4, 4), (2, 2), (0, 0)), (11, 9, 3, (3, 5), (2, 2), (0, 0)), (16, 16, 1, (8, 8), (1, 1), (0, 0)),
    (13, 10, 2, (4, 3), (3, 1), (0, 0)), (17, 17, 3, (2, 2), (5, 5), (0, 0)), (20, 14, 3, (2, 4), (4, 8), (0, 0)),
    (8, 8, 3, (4, 4), (4, 4), (2, 2)), (10, 7, 3, (3, 3), (3, 3), (1, 1)), (9, 11, 3, (4, 6), (2, 3), (3, 5)),
    (6, 4, 1, (5, 5), (1, 1), (2, 2)), (12, 12, 3, (3, 3), (5, 4), (1, 2)), (10, 10, 3, (4, 4), (4, 4), (0, 0)),
    (37, 29, 3, (8, 8), (8, 8), (0, 0)), (37, 29, 3, (8, 8), (4, 6), (1, 3)), (2, 3, 5, (2, 2), (1, 2), (0, 1)),
]


def overlaps(shape, patches, geometry):
    """fold divided by how many patches cover each pixel; 0 where none does."""
    c, h, w = shape
    total = F.fold(patches, (h, w), **geometry)
    count = F.fold(F.unfold(torch.ones(1, c, h, w, dtype=patches.dtype), **geometry), (h, w), **geometry)
    return total / count.clamp(min=1), count[0, 0]


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    for old in os.listdir(OUT):
        os.remove(os.path.join(OUT, old))
    rows = []
    for index, (w, h, c, patch, stride, padding) in enumerate(CASES):
        geometry = {"kernel_size": patch, "stride": stride, "padding": padding}
        x = torch.from_numpy(picture("noise", w, h, c)).permute(2, 0, 1)[None].float()
        patches = F.unfold(x, **geometry).transpose(1, 2).contiguous()[0]  # [N, C * PH * PW]
        row = {"picture": "noise", "width": w, "height": h, "channels": c, "patch": patch, "stride": stride, "padding": padding,
               "count": patches.shape[0], "patch_size": patches.shape[1],
               "unfold_f32_fnv1a64": fnv_hex(patches.numpy().tobytes()),
               "unfold_u8_fnv1a64": fnv_hex(patches.numpy().astype(np.uint8).tobytes()),
               "first": patches.flatten()[:12].int().tolist()}
        back, count = overlaps((c, h, w), patches.T[None], geometry)
        assert torch.equal(back[0][:, count > 0], x[0][:, count > 0])  # the same pixels overlap: their mean is the pixel
        row |= {"covered": int((count > 0).sum()), "most_overlaps": int(count.max()),
                "fold_of_unfold_u8_hwc_fnv1a64": fnv_hex(back[0].permute(1, 2, 0).contiguous().numpy().astype(np.uint8).tobytes())}
        # Patches that do not agree where they overlap: every element its own noise, as a u8 value.
        other = torch.from_numpy(picture("noise", patches.shape[1], patches.shape[0], 1, "patches")[:, :, 0].copy()).double()
        mean, _ = overlaps((c, h, w), other.T[None], geometry)
        hwc = mean[0].permute(1, 2, 0).contiguous().numpy()
        row["mean_u8_hwc_fnv1a64"] = fnv_hex(np.floor(hwc + 0.5).astype(np.uint8).tobytes())  # rounded half up
        if hwc.size <= 1500:
            row["mean_file"] = f"mean_{index:02}.npy"
            np.save(os.path.join(OUT, row["mean_file"]), hwc.astype(np.float32))
        rows.append(row)
    write_json(os.path.join(OUT, "cases.json"), {"versions": {"torch": torch.__version__}, "cases": rows})
    print(len(rows), "cases")
