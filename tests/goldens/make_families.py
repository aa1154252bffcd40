"""Tiny networks of every family that is not in make_vit.py, at several picture sizes -> families/<case>/. See README.md."""
import json
import math
import os
import shutil
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import (BeitConfig, BeitForImageClassification, BeitModel, CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection,
                          Data2VecVisionConfig, Data2VecVisionForImageClassification, DINOv3ViTConfig, DINOv3ViTModel, Dinov2Config, Dinov2ForImageClassification, Dinov2Model,
                          Dinov2WithRegistersConfig, Dinov2WithRegistersForImageClassification, Dinov2WithRegistersModel, IJepaConfig,
                          IJepaForImageClassification, IJepaModel, SiglipConfig, SiglipModel, SiglipVisionConfig, SiglipVisionModel,
                          ViTConfig, ViTForImageClassification, ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel, ViTMSNConfig,
                          ViTMSNForImageClassification, ViTMSNModel)

from transformers.models.dinov3_vit.image_processing_dinov3_vit import DINOv3ViTImageProcessor

from golden import HERE, floats, picture, write_json
from make_vit import describe as describe_vit, rows_of

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
MEAN, STD = [0.5, 0.25, 0.125], [0.5, 0.25, 0.5]


def describe(name, shape):
    shape = list(shape)
    if name.endswith("lambda1") or name.startswith("logit"):
        return {"shape": shape, "rule": "norm_weight", "scale": 0.5}
    if "bias_table" in name or name.endswith(("lambda_1", "lambda_2")):
        return {"shape": shape, "rule": "norm_weight" if "lambda" in name else "token", "scale": 0.5}
    if "class_embedding" in name or "position_embedding" in name or "probe" in name:
        return {"shape": shape, "rule": "token", "scale": 0.5}
    if name.endswith("in_proj_bias"):
        return {"shape": shape, "rule": "bias", "scale": 0.125}
    return describe_vit(name, shape)


def network_pixels(height, width, channels, dtype):
    a = picture("mixed", width, height, channels).astype(np.float64)
    a = (a / 255 - np.array(MEAN[:channels])) / np.array(STD[:channels])
    return torch.from_numpy(a.transpose(2, 0, 1)[None].copy()).to(dtype)


def outputs(model, x, interpolate):
    """What the network gives for one picture, by the names of vitrail's Output."""
    options = {"interpolate_pos_encoding": True} if interpolate else {}
    tower, seen = model, {}
    if isinstance(model, (CLIPModel, SiglipModel)):
        tower = model.vision_model
    with torch.no_grad():
        if isinstance(model, CLIPModel):
            base = tower(x, **options)
            seen["image_embeds"] = model.visual_projection(base.pooler_output)[0]
        elif isinstance(model, (ViTMAEModel, ViTMAEForPreTraining)):
            vit = getattr(model, "vit", model)
            patches = (x.shape[2] // vit.config.patch_size) * (x.shape[3] // vit.config.patch_size)
            base = vit(x, noise=torch.arange(patches, dtype=x.dtype)[None], **options)  # with mask_ratio 0: all patches, in order
            assert (base.ids_restore[0] == torch.arange(patches)).all()
        elif hasattr(model, "classifier"):
            seen["logits"] = model(x, **options).logits[0]
            base = model.base_model(x, **options)
        elif isinstance(model, CLIPVisionModelWithProjection):
            seen["image_embeds"] = model(x, **options).image_embeds[0]
            base = model.vision_model(x, **options)
        else:
            base = tower(x, **options)
    tokens = base.last_hidden_state[0]
    seen["tokens"], seen["tokens_mean"] = tokens[rows_of(len(tokens))].flatten(), tokens.mean(0)
    if getattr(base, "pooler_output", None) is not None:
        seen["pooled"] = base.pooler_output[0]
    return seen, len(tokens)


def processed(model, image, width, height):
    """last_hidden_state of DINOv3 for a picture of another size, through its own image processor, whose pixels are floats."""
    processor = DINOv3ViTImageProcessor(size={"height": image, "width": image}, image_mean=MEAN, image_std=STD)
    pixels = processor(picture("mixed", width, height, 3), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        return model(pixels.to(model.dtype)).last_hidden_state[0]


def case(name, cls, config, sizes, own=None, interpolate=True):
    """own: size of the preprocessor's pictures where it is not config's image_size."""
    folder = os.path.join(HERE, "families", name)
    os.makedirs(folder)
    vision = getattr(config, "vision_config", config)
    image = own or vision.image_size
    channels, results = vision.num_channels, {}
    with tempfile.TemporaryDirectory() as tmp:
        cls(config).save_pretrained(tmp)
        with safe_open(os.path.join(tmp, "model.safetensors"), "pt") as f:
            shapes = {n: describe(n, f.get_slice(n).get_shape()) for n in f.keys()}
        save_file({n: torch.from_numpy(floats(n, d["shape"], d["rule"], d["scale"])) for n, d in shapes.items()},
                  os.path.join(tmp, "model.safetensors"), metadata={"format": "pt"})
        for dtype in (torch.float32, torch.float64):
            model, info = cls.from_pretrained(tmp, dtype=dtype, attn_implementation="eager", output_loading_info=True)
            assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
            results[dtype] = [outputs(model.eval(), network_pixels(h, w, channels, dtype), interpolate) for h, w in sizes]
        shutil.copy(os.path.join(tmp, "config.json"), folder)
    if name == "dinov3":
        np.save(os.path.join(folder, "processed_91x57.npy"), processed(model, image, 91, 57).float().numpy())
    described = []
    for (h, w), (f32, _), (f64, count) in zip(sizes, results[torch.float32], results[torch.float64]):
        error = max(float((f32[k].double() - v).abs().max() / max(1.0, float(v.abs().max()))) for k, v in f64.items())
        assert error < 2e-5, (name, h, w, error)
        np.save(os.path.join(folder, f"{h}x{w}.npy"), torch.cat([v.flatten() for v in f64.values()]).float().numpy())
        described.append({"height": h, "width": w, "num_tokens": count, "token_rows": rows_of(count),
                          "parts": [[k, v.numel()] for k, v in f64.items()], "torch_f32_error": float(f"{error:.2g}")})
    text = {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": image}, "crop_size": {"height": image, "width": image},
            "do_center_crop": True, "resample": 3} if "dinov2" in cls.__name__.lower() else {
            "image_processor_type": "ViTImageProcessor", "size": {"height": image, "width": image}, "resample": 3}
    write_json(os.path.join(folder, "preprocessor_config.json"), text | {"image_mean": MEAN, "image_std": STD})
    write_json(os.path.join(folder, "tensors.json"), shapes)
    used = {n: s for n, s in shapes.items() if not n.startswith(("text_", "logit")) and (not n.endswith("mask_token") or n.startswith("decoder"))}
    write_json(os.path.join(folder, "case.json"), {"class": cls.__name__, "sizes": described,
                                                   "parameters": sum(math.prod(s["shape"]) for s in used.values())})


if __name__ == "__main__":
    torch.set_num_threads(2)
    shutil.rmtree(os.path.join(HERE, "families"), ignore_errors=True)
    small = dict(hidden_size=64, num_attention_heads=2, num_hidden_layers=2, image_size=48, patch_size=8)
    dino = dict(hidden_size=64, num_attention_heads=2, num_hidden_layers=2, image_size=56, patch_size=14)
    wide = small | dict(intermediate_size=160)
    text = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=20)
    by8, by14 = [(48, 48), (64, 64), (40, 72), (24, 32), (8, 8), (56, 24)], [(56, 56), (42, 42), (70, 98), (84, 28), (14, 14), (98, 98)]
    case("vit", ViTForImageClassification, ViTConfig(**wide, num_labels=5), by8)
    case("dinov2", Dinov2Model, Dinov2Config(**dino, mlp_ratio=2), by14)
    case("dinov2_own_size", Dinov2Model, Dinov2Config(**dino, mlp_ratio=2), [(42, 42), (56, 56), (28, 70), (84, 84)], own=42)
    case("dinov2_swiglu", Dinov2ForImageClassification, Dinov2Config(**dino, mlp_ratio=3, use_swiglu_ffn=True, num_labels=5), by14[:4])
    registers = dict(dino, mlp_ratio=2)
    case("dinov2_registers", Dinov2WithRegistersModel, Dinov2WithRegistersConfig(**registers), by14)
    case("dinov2_registers_labels", Dinov2WithRegistersForImageClassification,
         Dinov2WithRegistersConfig(**registers, num_register_tokens=3, num_labels=5), by14[:4])
    case("clip", CLIPVisionModelWithProjection, CLIPVisionConfig(**wide, projection_dim=24), by8)
    case("clip_gelu_no_projection", CLIPVisionModel, CLIPVisionConfig(**wide, hidden_act="gelu"), by8[:4])
    case("clip_whole", CLIPModel, CLIPConfig(vision_config=wide, text_config=text, projection_dim=24), by8[:4])
    case("siglip", SiglipVisionModel, SiglipVisionConfig(**wide), by8)
    case("siglip_whole", SiglipModel, SiglipConfig(vision_config=wide, text_config=dict(text, hidden_size=64)), by8[:4])
    case("msn", ViTMSNModel, ViTMSNConfig(**wide), by8[:4])
    case("msn_labels", ViTMSNForImageClassification, ViTMSNConfig(**wide, num_labels=5), by8[:4])
    case("ijepa", IJepaModel, IJepaConfig(**wide), by8[:4])
    case("ijepa_labels", IJepaForImageClassification, IJepaConfig(**wide, num_labels=5), by8[:4])
    case("mae", ViTMAEModel, ViTMAEConfig(**wide, mask_ratio=0.0), by8[:4])
    case("mae_with_decoder", ViTMAEForPreTraining, ViTMAEConfig(**wide, mask_ratio=0.0, decoder_hidden_size=16, decoder_num_hidden_layers=1,
                                                               decoder_num_attention_heads=2, decoder_intermediate_size=16), by8[:4])
    three = dict(wide, num_register_tokens=3)
    case("dinov3", DINOv3ViTModel, DINOv3ViTConfig(**three), by8, interpolate=False)
    case("dinov3_gated", DINOv3ViTModel, DINOv3ViTConfig(**three, use_gated_mlp=True, hidden_act="silu", key_bias=True, num_labels=5), by8[:4],
         interpolate=False)
    bias = dict(wide, use_relative_position_bias=True)
    case("beit", BeitModel, BeitConfig(**bias), by8[:4], interpolate=False)
    case("beit_shared_cls", BeitForImageClassification, BeitConfig(**wide, use_shared_relative_position_bias=True, use_mean_pooling=False,
                                                                   layer_scale_init_value=0.0, num_labels=5), by8[:4], interpolate=False)
    case("data2vec_labels", Data2VecVisionForImageClassification, Data2VecVisionConfig(**bias, num_labels=5), by8[:4], interpolate=False)
    print("torch", torch.__version__, "transformers", transformers.__version__)
