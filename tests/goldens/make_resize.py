"""Pillow's Image.resize, transformers' Pillow image processors and timm's evaluation transform -> resize/. See README.md."""
import math
import os
import random

import numpy as np
import PIL
import torchvision
import transformers
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
from transformers.models.vit.image_processing_vit import ViTImageProcessor

from golden import HERE, fnv_hex, picture, write_json

OUT = os.path.join(HERE, "resize")
FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}

FIXED = [  # source width, height -> target width, height
    (48, 36, 16, 12), (20, 14, 40, 28), (1, 1, 1, 1), (1, 1, 7, 5), (1, 13, 4, 6), (13, 1, 6, 4), (1, 9, 1, 20), (9, 1, 20, 1),
    (37, 29, 23, 31), (3000, 3, 10, 10), (3, 3000, 10, 10), (640, 480, 341, 256), (40, 30, 40, 13), (40, 30, 17, 30),
    (33, 21, 33, 21), (64, 64, 1, 1), (2, 2, 3, 3), (100, 75, 99, 74), (5, 4, 1000, 3), (256, 256, 224, 224),
]


def image(kind, width, height, channels):
    a = picture(kind, width, height, channels)
    return Image.fromarray(a[:, :, 0] if channels == 1 else a)


def result(out):
    """The result's bytes as a hash, the first twelve of them, and all of them where there are few."""
    data = np.asarray(out).tobytes()
    row = {"fnv1a64": fnv_hex(data)}
    row["bytes" if len(data) <= 60 else "first_bytes"] = list(data if len(data) <= 60 else data[:12])
    return row


def resize_cases():
    rng = random.Random(20)
    todo = [(*size, channels, name, kind) for size in FIXED for name in FILTERS
            for channels, kind in ((3, "noise"),) + (((1, "edges"),) if size[0] < 100 else ())]
    for _ in range(60):
        big = rng.choice((12, 60, 300))
        w, h, tw, th = (max(1, int(rng.uniform(1, big))) for _ in range(4))
        todo.append((w, h, tw, th, rng.choice((1, 3)), rng.choice(("bilinear", "bicubic", "bilinear", "bicubic", *FILTERS)),
                     rng.choice(("noise", "mixed", "edges"))))
    for w, h, tw, th, channels, name, kind in todo:
        out = image(kind, w, h, channels).resize((tw, th), FILTERS[name])
        yield {"picture": kind, "channels": channels, "width": w, "height": h, "out_width": tw, "out_height": th,
               "filter": name} | result(out)


SOURCES = [(640, 480), (480, 640), (333, 500), (501, 334), (100, 100), (57, 91), (300, 31), (225, 225), (1, 1)]


def hugging_face_cases():
    imagenet = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    vit, deit, fast = ViTImageProcessorPil, DeiTImageProcessorPil, ViTImageProcessor  # fast: torchvision's
    for cls, config, sources in (
        (vit, {}, SOURCES),
        (vit, {"size": 224, "do_resize": True, "do_normalize": True}, SOURCES[:2]),  # as in google/vit-base-patch16-224's repository
        (vit, {"size": {"height": 96, "width": 160}, "resample": 3}, SOURCES[:5]),
        (vit, {"size": {"shortest_edge": 64}}, SOURCES[:7]),
        (vit, {"size": {"shortest_edge": 100}, "resample": 3, "do_center_crop": True, "crop_size": {"height": 97, "width": 64}}, SOURCES[:7]),
        (vit, {"size": {"shortest_edge": 60}, "do_center_crop": True, "crop_size": {"height": 64, "width": 61}}, SOURCES[:7]),
        (vit, {"do_resize": False, "do_center_crop": True, "crop_size": {"height": 80, "width": 80}}, SOURCES[:7]),
        (vit, {"do_resize": False}, SOURCES[4:6]),
        (vit, {"size": {"height": 32, "width": 32}, "resample": 0}, SOURCES[:3]),
        (vit, {"size": {"height": 32, "width": 32}, "resample": 1}, SOURCES[:3]),
        (vit, {"size": {"height": 32, "width": 41}, "resample": 4}, SOURCES[:6]),
        (vit, {"size": {"height": 41, "width": 32}, "resample": 5}, SOURCES[:6]),
        (vit, {"size": {"shortest_edge": 100, "longest_edge": 120}, "do_center_crop": True,
               "crop_size": {"height": 96, "width": 112}}, SOURCES[:8]),
        (fast, {}, SOURCES),
        *((fast, {"size": {"height": 97, "width": 160}, "resample": n}, SOURCES) for n in (0, 1, 2, 3)),
        (fast, {"size": {"shortest_edge": 100}, "resample": 3, "do_center_crop": True, "crop_size": {"height": 97, "width": 64}}, SOURCES[:7]),
        (fast, {"size": {"shortest_edge": 60}, "do_center_crop": True, "crop_size": {"height": 65, "width": 61}}, SOURCES[:7]),
        (fast, {"size": {"shortest_edge": 100, "longest_edge": 120}, "do_center_crop": True,
                "crop_size": {"height": 96, "width": 113}}, SOURCES[:8]),
        (fast, {"do_resize": False, "do_center_crop": True, "crop_size": {"height": 81, "width": 80}}, SOURCES[:7]),
        (deit, {}, SOURCES),
        (deit, {"size": 256, "crop_size": 224, "resample": 3} | imagenet, SOURCES[:2]),  # as in facebook/deit-*'s repositories
        (deit, {"size": {"height": 72, "width": 75}, "crop_size": {"height": 65, "width": 64}}, SOURCES[:6]),
        (deit, {"size": {"height": 438, "width": 438}, "crop_size": {"height": 384, "width": 384}}, SOURCES[:1]),
    ):
        processor = cls(**config)
        for w, h in sources:
            for channels in (3, 1) if (w, h) == (57, 91) else (3,):
                source = image("mixed", w, h, channels)
                out = processor(source, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
                assert out.dtype == np.uint8, out.dtype
                out = np.ascontiguousarray(np.asarray(out).transpose(1, 2, 0))
                kind = cls.__name__ + "Fast" if cls is ViTImageProcessor else cls.__name__.replace("Pil", "")
                yield {"kind": kind, "config": {"image_processor_type": kind} | config, "picture": "mixed", "channels": channels,
                       "width": w, "height": h, "out_width": out.shape[1], "out_height": out.shape[0]} | result(out)


def timm_cases():
    """timm.data.transforms_imagenet_eval for a square input: Resize(floor(size / crop_pct)) of the shorter edge, CenterCrop(size)."""
    for size, crop_pct, interpolation, mode, sources in (
        (224, 0.9, "bicubic", "center", SOURCES), (224, 0.875, "bicubic", "center", SOURCES[:8]),
        (224, 1.0, "bilinear", "center", SOURCES[:8]), (96, 0.95, "bicubic", "center", SOURCES[:8]),
        (65, 0.9, "bilinear", "center", SOURCES[:8]), (64, 1.1, "bilinear", "center", SOURCES[:8]),
        (63, 1.2, "bicubic", "center", SOURCES[:8]), (160, 0.965, "lanczos", "center", SOURCES[:2]),
        (96, 0.9, "bicubic", "squash", SOURCES[:8]), (97, 1.0, "bilinear", "squash", SOURCES[:3]),
    ):
        scale = math.floor(size / crop_pct)
        pipeline = transforms.Compose([
            transforms.Resize((scale, scale) if mode == "squash" else scale, InterpolationMode(interpolation)),
            transforms.CenterCrop(size)])
        for w, h in sources:
            out = pipeline(image("mixed", w, h, 3))
            yield {"kind": "timm", "config": {"input_size": [3, size, size], "interpolation": interpolation, "crop_pct": crop_pct,
                                              "crop_mode": mode}, "picture": "mixed", "channels": 3,
                   "width": w, "height": h, "out_width": out.width, "out_height": out.height} | result(out)


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    versions = {"pil": PIL.__version__, "transformers": transformers.__version__, "torchvision": torchvision.__version__}
    cases = list(resize_cases())
    write_json(os.path.join(OUT, "cases.json"), {"versions": versions, "cases": cases})
    processors = list(hugging_face_cases()) + list(timm_cases())
    write_json(os.path.join(OUT, "processor.json"), {"versions": versions, "cases": processors})
    print(len(cases), "resizes,", len(processors), "processor cases")
