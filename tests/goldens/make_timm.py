"""DINOv2, DINOv3, CLIP and SigLIP towers under timm's tensor names, at several picture sizes -> timm/<case>/. See README.md.

timm was not at hand. Expected values are transformers' own on the same weights, renamed here, with what timm does otherwise: positions
are resampled with antialiasing, CLIP's final LayerNorm is on every token, and its projection is a head with a bias.
"""
import json
import math
import os
import shutil

import numpy as np
import torch
import transformers
from torch.nn.functional import interpolate
from transformers import (CLIPVisionConfig, CLIPVisionModelWithProjection, DINOv3ViTConfig, DINOv3ViTModel, Dinov2Config, Dinov2Model,
                          Dinov2WithRegistersConfig, Dinov2WithRegistersModel, SiglipVisionConfig, SiglipVisionModel)

from golden import HERE, floats, write_json
from make_families import MEAN, STD, describe as describe_family, network_pixels
from make_vit import rows_of

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
D, DEPTH, HEADS = 64, 2, 2


def linear(name, out, inner, bias=True):
    return {name + ".weight": [out, inner]} | ({name + ".bias": [out]} if bias else {})


def norm(name):
    return {name + ".weight": [D], name + ".bias": [D]}


def describe(name, shape):
    if "gamma" in name:
        return {"shape": shape, "rule": "norm_weight", "scale": 0.5}
    if "latent" in name:
        return {"shape": shape, "rule": "token", "scale": 0.5}
    return describe_family(name, shape)


def tensors(o):
    """{name: shape} of a file."""
    eva, m, patches = o["family"] == "dinov3", o["mlp"], (o["image"] // o["patch"]) ** 2
    t = {} if o["family"] == "siglip" else {"cls_token": [1, 1, D]}
    if o["registers"]:
        t["reg_token"] = [1, o["registers"], D]
    if not eva:
        t["pos_embed"] = [1, patches + (0 if o["registers"] or o["family"] == "siglip" else 1), D]
    t["patch_embed.proj.weight"] = [D, 3, o["patch"], o["patch"]]
    t |= norm("norm_pre") if o["family"] == "clip" else {"patch_embed.proj.bias": [D]}
    for i in range(DEPTH):
        b = f"blocks.{i}."
        t |= norm(b + "norm1") | linear(b + "attn.qkv", 3 * D, D, not eva) | linear(b + "attn.proj", D, D) | norm(b + "norm2")
        if eva and o["qkv_bias"]:
            t |= {b + "attn.q_bias": [D], b + "attn.v_bias": [D]}
        if eva and o["swiglu"]:
            t |= linear(b + "mlp.fc1_g", m, D) | linear(b + "mlp.fc1_x", m, D)
        else:
            t |= linear(b + "mlp.fc1", 2 * m if o["swiglu"] else m, D)
        t |= linear(b + "mlp.fc2", D, m)
        if "dino" in o["family"]:
            t |= {b + n: [D] for n in (("gamma_1", "gamma_2") if eva else ("ls1.gamma", "ls2.gamma"))}
    t |= norm("norm")
    if o["family"] == "siglip":
        p = "attn_pool."
        t |= {p + "latent": [1, 1, D]} | linear(p + "q", D, D) | linear(p + "kv", 2 * D, D) | linear(p + "proj", D, D) | norm(p + "norm")
        t |= linear(p + "mlp.fc1", m, D) | linear(p + "mlp.fc2", D, m)
    if o["classes"]:
        t |= linear("head", o["classes"], D)
    return t


def network(o):
    small = dict(hidden_size=D, num_attention_heads=HEADS, num_hidden_layers=DEPTH, image_size=o["image"], patch_size=o["patch"])
    if o["family"] == "dinov2":
        more = small | dict(mlp_ratio=o.get("hf_mlp_ratio", 2), use_swiglu_ffn=o["swiglu"])
        if o["registers"]:
            return Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**more, num_register_tokens=o["registers"]))
        return Dinov2Model(Dinov2Config(**more))
    small["intermediate_size"] = o["mlp"]
    if o["family"] == "dinov3":
        return DINOv3ViTModel(DINOv3ViTConfig(**small, num_register_tokens=o["registers"], query_bias=o["qkv_bias"], key_bias=False,
                                              value_bias=o["qkv_bias"], use_gated_mlp=o["swiglu"], hidden_act="silu" if o["swiglu"] else "gelu"))
    if o["family"] == "clip":
        return CLIPVisionModelWithProjection(CLIPVisionConfig(**small, hidden_act=o["act"], projection_dim=o["classes"] or 8))
    return SiglipVisionModel(SiglipVisionConfig(**small, hidden_act=o["act"]))


def renamed(o, t, model):
    """timm's tensors under the names the model has in memory."""
    tower = model.vision_model if hasattr(model, "vision_model") else model
    prefix = "vision_model." if tower is not model else ""
    new, eva = {}, o["family"] == "dinov3"
    names = list(model.state_dict())
    layers = next(n for n in names if "norm1.weight" in n or "layer_norm1.weight" in n).split("0.", 1)[0]

    def put(suffix, value):
        matches = [n for n in names if n.endswith(suffix)]
        assert len(matches) == 1, (suffix, matches)
        assert model.state_dict()[matches[0]].numel() == value.numel(), (suffix, value.shape)
        new[matches[0]] = value.reshape(model.state_dict()[matches[0]].shape)

    def both(to, name):
        for kind in ("weight", "bias"):
            if f"{name}.{kind}" in t:
                put(f"{to}.{kind}", t[f"{name}.{kind}"])

    if "cls_token" in t:
        put("embeddings.class_embedding" if o["family"] == "clip" else "embeddings.cls_token", t["cls_token"])
    if o["registers"]:
        put("embeddings.register_tokens", t["reg_token"])
    if not eva:
        table = t["pos_embed"][0]
        if o["registers"]:
            table = torch.cat([torch.zeros(1, D), table])
        put("embeddings.position_embeddings" if o["family"] == "dinov2" else "embeddings.position_embedding.weight", table)
    patch = {"dinov2": "patch_embeddings.projection", "dinov3": "embeddings.patch_embeddings"}.get(o["family"], "embeddings.patch_embedding")
    both(patch, "patch_embed.proj")
    both(prefix + "pre_layrnorm", "norm_pre")
    final = {"dinov2": "layernorm", "dinov3": "norm"}.get(o["family"], prefix + "post_layernorm")
    new |= {f"{final}.{kind}": t[f"norm.{kind}"] for kind in ("weight", "bias")}
    dino2, dino3 = o["family"] == "dinov2", eva
    for i in range(DEPTH):
        b, to = f"blocks.{i}.", f"{layers}{i}."
        q, k, v = ("query", "key", "value") if any(n.startswith(to) and "attention.attention.query" in n for n in names) else ("q_proj", "k_proj", "v_proj")
        for j, part in enumerate((q, k, v)):
            weight = next(n for n in names if n.startswith(to) and n.endswith(part + ".weight"))
            new[weight] = t[b + "attn.qkv.weight"].chunk(3)[j]
            bias = weight.replace("weight", "bias")
            if bias in names:
                new[bias] = t[b + "attn.qkv.bias"].chunk(3)[j] if not eva else t[b + f"attn.{'qkv'[j]}_bias"]
        out = next(n for n in names if n.startswith(to) and n.endswith(("o_proj.weight", "out_proj.weight", "output.dense.weight")) and "mlp" not in n)
        both(out[:-len(".weight")], b + "attn.proj")
        first = "layer_norm" if o["family"] in ("clip", "siglip") else "norm"
        both(to + first + "1", b + "norm1")
        both(to + first + "2", b + "norm2")
        if o["swiglu"]:
            both(to + ("mlp.gate_proj" if dino3 else "mlp.weights_in"), b + ("mlp.fc1_g" if dino3 else "mlp.fc1"))
            if dino3:
                both(to + "mlp.up_proj", b + "mlp.fc1_x")
            both(to + ("mlp.down_proj" if dino3 else "mlp.weights_out"), b + "mlp.fc2")
        else:
            both(to + ("mlp.up_proj" if dino3 else "mlp.fc1"), b + "mlp.fc1")
            both(to + ("mlp.down_proj" if dino3 else "mlp.fc2"), b + "mlp.fc2")
        if dino2 or dino3:
            for n in ("1", "2"):
                new[f"{to}layer_scale{n}.lambda1"] = t[b + (f"gamma_{n}" if dino3 else f"ls{n}.gamma")]
    if o["family"] == "siglip":
        put("head.probe", t["attn_pool.latent"])
        for kind in ("weight", "bias"):
            put(f"head.attention.in_proj_{kind}", torch.cat([t[f"attn_pool.q.{kind}"], t[f"attn_pool.kv.{kind}"]]))
        both("head.attention.out_proj", "attn_pool.proj")
        both("head.layernorm", "attn_pool.norm")
        both("head.mlp.fc1", "attn_pool.mlp.fc1")
        both("head.mlp.fc2", "attn_pool.mlp.fc2")
    if o["family"] == "clip" and o["classes"]:
        new["visual_projection.weight"] = t["head.weight"]
    missing = set(names) - set(new)
    assert all(n.endswith(("mask_token", "position_ids", "inv_freq")) or (n == "visual_projection.weight") for n in missing), missing
    model.load_state_dict(new, strict=False)


def timm_positions(o, t, height, width, dtype):
    """timm.layers.resample_abs_pos_embed: bicubic with antialiasing; the first row, CLS's, stays."""
    table = t["pos_embed"][0].to(dtype)
    side, rows, columns = o["image"] // o["patch"], height // o["patch"], width // o["patch"]
    first = table[:len(table) - side * side]
    if o["registers"]:
        first = torch.zeros(1, D, dtype=dtype)
    grid = table[len(table) - side * side:].reshape(1, side, side, D).permute(0, 3, 1, 2)
    if (rows, columns) != (side, side):
        grid = interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True)
    return torch.cat([first, grid.permute(0, 2, 3, 1).reshape(-1, D)])[None]


def outputs(o, t, model, height, width, dtype):
    x = network_pixels(height, width, 3, dtype)
    tower = model.vision_model if hasattr(model, "vision_model") else model
    options = {}
    if o["family"] != "dinov3":
        tower.embeddings.interpolate_pos_encoding = lambda *a, **k: timm_positions(o, t, height, width, dtype)
        options = {} if o["family"] == "dinov2" else {"interpolate_pos_encoding": True}
    seen = {}
    with torch.no_grad():
        base = tower(x, **options)
        tokens = base.last_hidden_state[0]
        if o["family"] == "clip":
            tokens = tower.post_layernorm(tokens)
            pooled = tokens[0]
            if o["classes"]:
                seen["logits"] = model.visual_projection(pooled[None])[0] + t["head.bias"].to(dtype)
        elif o["family"] == "siglip":
            pooled = base.pooler_output[0]
        else:
            pooled = tokens[0] if o["pool"] == "token" else tokens[1 + o["registers"]:].mean(0)
    return {**seen, "tokens": tokens[rows_of(len(tokens))].flatten(), "tokens_mean": tokens.mean(0), "pooled": pooled}, len(tokens)


def case(name, architecture, family, sizes, patch=8, image=48, mlp=160, registers=0, swiglu=False, act="gelu", classes=0, qkv_bias=True,
         pool="token", mlp_ratio=2.5, **more):
    o = dict(family=family, patch=patch, image=image, mlp=mlp, registers=registers, swiglu=swiglu, act=act, classes=classes,
             qkv_bias=qkv_bias, pool=pool) | more
    folder = os.path.join(HERE, "timm", name)
    os.makedirs(folder)
    shapes = {n: describe(n, s) for n, s in tensors(o).items()}
    weights = {n: torch.from_numpy(floats(n, d["shape"], d["rule"], d["scale"])) for n, d in shapes.items()}
    described, results = [], {}
    for dtype in (torch.float32, torch.float64):
        model = network(o)
        model.set_attn_implementation("eager")
        renamed(o, weights, model)
        results[dtype] = [outputs(o, weights, model.to(dtype).eval(), h, w, dtype) for h, w in sizes]
    for (h, w), (f32, _), (f64, count) in zip(sizes, results[torch.float32], results[torch.float64]):
        error = max(float((f32[k].double() - v).abs().max() / max(1.0, float(v.abs().max()))) for k, v in f64.items())
        assert error < 2e-5, (name, h, w, error)
        np.save(os.path.join(folder, f"{h}x{w}.npy"), torch.cat([v.flatten() for v in f64.values()]).float().numpy())
        described.append({"height": h, "width": w, "num_tokens": count, "token_rows": rows_of(count),
                          "parts": [[k, v.numel()] for k, v in f64.items()], "torch_f32_error": float(f"{error:.2g}")})
    config = {"architecture": architecture, "num_classes": classes, "num_features": D, "global_pool": pool,
              "model_args": {"embed_dim": D, "depth": DEPTH, "num_heads": HEADS, "mlp_ratio": mlp_ratio, "img_size": image, "patch_size": patch},
              "pretrained_cfg": {"tag": "golden", "input_size": [3, image, image], "fixed_input_size": True, "interpolation": "bicubic",
                                 "crop_pct": 1.0, "crop_mode": "center", "mean": MEAN, "std": STD, "num_classes": classes,
                                 "first_conv": "patch_embed.proj", "classifier": "head"}}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")
    write_json(os.path.join(folder, "tensors.json"), shapes)
    write_json(os.path.join(folder, "case.json"), {"family": family, "sizes": described,
                                                   "parameters": sum(math.prod(s["shape"]) for s in shapes.values())})


if __name__ == "__main__":
    torch.set_num_threads(2)
    shutil.rmtree(os.path.join(HERE, "timm"), ignore_errors=True)
    by8, by14 = [(48, 48), (64, 64), (40, 72), (24, 32)], [(56, 56), (42, 42), (70, 98), (84, 28)]
    dino2 = dict(patch=14, image=56, mlp=128, mlp_ratio=2)
    case("dinov2", "vit_small_patch14_dinov2.lvd142m", "dinov2", by14, **dino2)
    case("dinov2_reg4", "vit_base_patch14_reg4_dinov2", "dinov2", by14, **dino2, registers=4)
    # transformers: (int(64 * 4 * 2 / 3) + 7) // 8 * 8 = 176; timm's ratio is that of both halves.
    case("dinov2_giant", "vit_giant_patch14_reg4_dinov2", "dinov2", by14, patch=14, image=56, mlp=176, mlp_ratio=5.5, hf_mlp_ratio=4, registers=4,
         swiglu=True)
    case("clip_quickgelu", "vit_base_patch16_clip_quickgelu_224.openai", "clip", by8, act="quick_gelu", classes=24)
    case("clip", "vit_large_patch14_clip_336", "clip", by8)
    case("siglip", "vit_base_patch16_siglip_224.webli", "siglip", by8, pool="map")
    case("siglip_so400m", "vit_so400m_patch16_siglip_256", "siglip", by8, act="gelu_pytorch_tanh", pool="map")
    dino3 = dict(registers=4, pool="avg")
    case("dinov3", "vit_small_patch16_dinov3.lvd1689m", "dinov3", by8, **dino3, qkv_bias=False)
    case("dinov3_plus", "vit_small_plus_patch16_dinov3_qkvb", "dinov3", by8, **dino3, swiglu=True)
    print("torch", torch.__version__, "transformers", transformers.__version__)
