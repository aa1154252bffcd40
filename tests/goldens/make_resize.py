"""Pillow's Image.resize, transformers' image processors and timm's evaluation transform -> resize/. See README.md.

timm was not at hand: timm_transform() says in torchvision's terms what timm.data.create_transform(is_training=False) does since
timm 0.8 (its ResizeKeepRatio and CenterCropOrPad written anew here); timm 0.6 squashes every picture for a non-square input.
"""
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
from torchvision.transforms import functional as F
from transformers.models.beit.image_processing_beit import BeitImageProcessor
from transformers.models.bit.image_processing_bit import BitImageProcessor
from transformers.models.clip.image_processing_clip import CLIPImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.dinov3_vit.image_processing_dinov3_vit import DINOv3ViTImageProcessor
from transformers.models.siglip.image_processing_siglip import SiglipImageProcessor
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
        *((cls, {"size": {"max_height": 90, "max_width": 75}, "do_center_crop": True, "crop_size": {"height": 80, "width": 83}},
           SOURCES[:8]) for cls in (vit, fast)),
        (vit, {"size": {"max_height": 40, "max_width": 75}}, SOURCES[:1]),
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


def refused_cases():
    """Sizes that transformers lets into a processor's file and then does not run."""
    source = image("mixed", 57, 91, 3)
    for cls in (ViTImageProcessorPil, ViTImageProcessor, DeiTImageProcessorPil, CLIPImageProcessorPil, CLIPImageProcessor, SiglipImageProcessor,
                BitImageProcessor, BeitImageProcessor, DINOv3ViTImageProcessor):
        config = {"size": {"longest_edge": 64}}
        processor = cls(**config)
        try:
            processor(source, return_tensors="np")
        except ValueError as error:
            yield {"kind": cls.__name__.replace("Pil", ""), "config": config, "error": str(error).split(" Got ")[0]}
            continue
        raise AssertionError(cls.__name__ + " runs " + str(config))


def keep_ratio(source, size, longest, interpolation):
    """timm's ResizeKeepRatio: one factor for both sides, that of the side which needs more (longest) or less of it."""
    height, width = source.height / size[0], source.width / size[1]
    ratio = max(height, width) if longest else min(height, width)
    return F.resize(source, [round(source.height / ratio), round(source.width / ratio)], interpolation)


def crop_or_pad(source, size, fill):
    """timm's CenterCropOrPad: torchvision's center_crop with another colour than black around a picture that is too small."""
    missing = [max(size[1] - source.width, 0), max(size[0] - source.height, 0)]
    return F.center_crop(F.pad(source, [missing[0] // 2, missing[1] // 2, (missing[0] + 1) // 2, (missing[1] + 1) // 2], fill=fill), size)


def timm_transform(source, size, crop_pct, interpolation, mode, mean):
    scale = [math.floor(n / crop_pct) for n in size]
    interpolation = InterpolationMode(interpolation)
    if mode == "squash":
        return F.center_crop(F.resize(source, scale, interpolation), size)
    if mode == "border":
        return crop_or_pad(keep_ratio(source, scale, True, interpolation), size, [round(255 * v) for v in mean])
    if scale[0] == scale[1]:
        return F.center_crop(F.resize(source, scale[0], interpolation), size)
    # timm does not hand the interpolation on: always bilinear.
    return F.center_crop(keep_ratio(source, scale, False, InterpolationMode.BILINEAR), size)


def timm_cases():
    imagenet, clip = [0.485, 0.456, 0.406], [0.48145466, 0.4578275, 0.40821073]
    for size, crop_pct, interpolation, mode, mean, sources in (
        (224, 0.9, "bicubic", "center", None, SOURCES), (224, 0.875, "bicubic", "center", None, SOURCES[:8]),
        (224, 1.0, "bilinear", "center", None, SOURCES[:8]), (96, 0.95, "bicubic", "center", None, SOURCES[:8]),
        (65, 0.9, "bilinear", "center", None, SOURCES[:8]), (64, 1.1, "bilinear", "center", None, SOURCES[:8]),
        (63, 1.2, "bicubic", "center", None, SOURCES[:8]), (160, 0.965, "lanczos", "center", None, SOURCES[:2]),
        (96, 0.9, "bicubic", "squash", None, SOURCES[:8]), (97, 1.0, "bilinear", "squash", None, SOURCES[:3]),
        ((96, 128), 0.9, "bicubic", "center", None, SOURCES), ((97, 64), 1.0, "bicubic", "center", None, SOURCES[:8]),
        ((100, 101), 1.1, "bicubic", "center", None, SOURCES[:3]),  # floors to 90 and 91
        ((100, 101), 1.12, "lanczos", "center", None, SOURCES[:3]),  # floors to 89 and 90
        ((128, 129), 1.5, "hamming", "center", None, SOURCES[:3]),  # floors to 85 and 86
        ((120, 121), 1.25, "box", "center", None, SOURCES[:3]),  # floors to 96 and 96: as a square
        ((96, 128), 0.9, "bicubic", "squash", None, SOURCES[:8]), ((65, 40), 1.1, "hamming", "squash", None, SOURCES[:3]),
        (96, 1.0, "bicubic", "border", imagenet, SOURCES), (97, 0.9, "bilinear", "border", clip, SOURCES[:8]),
        ((64, 97), 1.0, "bicubic", "border", [0.5, 0.1, 0.9], SOURCES[:8]), ((97, 64), 1.15, "lanczos", "border", imagenet, SOURCES[:8]),
    ):
        size = (size, size) if isinstance(size, int) else size
        for w, h in sources:
            out = timm_transform(image("mixed", w, h, 3), size, crop_pct, interpolation, mode, mean)
            assert out.size == size[::-1]
            yield {"kind": "timm", "config": {"input_size": [3, *size], "interpolation": interpolation, "crop_pct": crop_pct,
                                              "crop_mode": mode} | ({"mean": mean} if mean else {}), "picture": "mixed", "channels": 3,
                   "width": w, "height": h, "out_width": out.width, "out_height": out.height} | result(out)


def dinov3_cases():
    """pixel_values [height, width, 3] of the processor that resizes floats, in a .npy each."""
    sources = [(57, 91), (100, 100), (300, 31), (640, 480), (7, 5), (1, 1), (16, 40), (40, 12)]
    crop = {"size": {"shortest_edge": 14}, "do_center_crop": True, "crop_size": {"height": 12, "width": 17}}
    for config, kind, chosen in (({"size": {"height": 12, "width": 16}}, "mixed", sources), ({"size": {"height": 12, "width": 16}}, "edges", sources[:5]),
                                 ({"size": {"height": 12, "width": 16}, "resample": 0}, "noise", sources[:1]), (crop, "mixed", sources[:2]),
                                 ({"size": {"height": 12, "width": 16}, "do_rescale": False, "do_normalize": False}, "mixed", sources[:1])):
        processor = DINOv3ViTImageProcessor(**config)
        for w, h in chosen:
            out = processor(image(kind, w, h, 3), return_tensors="np")["pixel_values"][0]
            yield {"config": {"image_processor_type": "DINOv3ViTImageProcessorFast"} | config, "picture": kind, "width": w, "height": h,
                   "out_width": out.shape[2], "out_height": out.shape[1]}, np.ascontiguousarray(out.astype(np.float32).transpose(1, 2, 0))


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    versions = {"pil": PIL.__version__, "transformers": transformers.__version__, "torchvision": torchvision.__version__}
    cases = list(resize_cases())
    write_json(os.path.join(OUT, "cases.json"), {"versions": versions, "cases": cases})
    processors = list(hugging_face_cases()) + list(timm_cases())
    write_json(os.path.join(OUT, "processor.json"), {"versions": versions, "cases": processors, "refused": list(refused_cases())})
    rows = []
    for i, (row, values) in enumerate(dinov3_cases()):
        np.save(os.path.join(OUT, f"dinov3_{i:02}.npy"), values)
        rows.append(row | {"file": f"dinov3_{i:02}.npy"})
    write_json(os.path.join(OUT, "dinov3.json"), {"versions": versions, "cases": rows})
    print(len(cases), "resizes,", len(processors), "processor cases")
