"""Whole networks with reproducible weights -> vit/<case>/, and small folders as transformers writes them -> saved/<case>/.

The weights of vit/ are not stored: tensors.json names each tensor, and golden.floats(name, ...) makes it. See README.md.
"""
import json
import math
import os
import shutil
import tempfile

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import (DeiTConfig, DeiTForImageClassification, DeiTForImageClassificationWithTeacher, DeiTModel, ViTConfig,
                          ViTForImageClassification, ViTModel)
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from golden import HERE, floats, picture, write_json
from timm_vit import TimmVit

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
pair = lambda v: (v, v) if isinstance(v, int) else tuple(v)


def describe(name, shape):
    """The rule and scale of a tensor (golden.floats)."""
    shape = list(shape)
    if name.endswith("bias"):
        rule, scale = "bias", 0.125
    elif any(k in name for k in ("token", "position_embeddings", "pos_embed")):
        rule, scale = "token", 0.5
    elif len(shape) == 1:
        rule, scale = "norm_weight", 0.25
    else:
        rule, scale = "linear", 2.0 ** round(math.log2(1.7 / math.sqrt(np.prod(shape[1:]))))
    return {"shape": shape, "rule": rule, "scale": scale}


def fill(shapes):
    return {n: torch.from_numpy(floats(n, d["shape"], d["rule"], d["scale"])) for n, d in shapes.items()}


def pixels(size, channels, processor):
    """The network's input as f32 from the processor, and in f64 from the formula; the two must agree."""
    h, w = size
    a = picture("mixed", w, h, channels)
    got = processor(Image.fromarray(a[:, :, 0] if channels == 1 else a), return_tensors="pt")["pixel_values"]
    exact = a.astype(np.float64)
    if processor.do_rescale:
        exact = exact * processor.rescale_factor
    if processor.do_normalize:
        exact = (exact - np.array(processor.image_mean)) / np.array(processor.image_std)
    exact = torch.from_numpy(exact.transpose(2, 0, 1)[None].copy())
    assert got.shape == exact.shape and (got - exact).abs().max() < 2e-6, (got.shape, exact.shape)
    return got.float(), exact


def rows_of(n, keep=6):
    return list(range(n)) if n <= 12 else [*range(keep), n // 2, n - 2, n - 1]


def write_case(folder, f32, f64, extra):
    """f32, f64: dicts of results of the same run in both precisions; the f64 ones, rounded, are the expected values."""
    noise = {k: float((f32[k].double() - f64[k]).abs().max()) for k in f64}
    for k, v in noise.items():
        assert v < 2e-5 * max(1.0, float(f64[k].abs().max())), (folder, k, v)
    token_rows, patch_rows = rows_of(f64["tokens"].shape[0]), rows_of(f64["patch_embed"].shape[0])
    arrays = {k: v.float().numpy() for k, v in f64.items()}
    arrays["tokens_mean"] = f64["tokens"].mean(0).float().numpy()
    arrays["tokens"], arrays["patch_embed"] = arrays["tokens"][token_rows], arrays["patch_embed"][patch_rows]
    for k, v in arrays.items():
        np.save(os.path.join(folder, k + ".npy"), np.ascontiguousarray(v))
    write_json(os.path.join(folder, "case.json"), extra | {
        "num_tokens": f64["tokens"].shape[0], "token_rows": token_rows, "patch_rows": patch_rows,
        "arrays": {k: list(v.shape) for k, v in sorted(arrays.items())},
        "torch_f32_error": {k: float(f"{v:.2g}") for k, v in sorted(noise.items())},
        "max_abs": {k: float(f"{float(v.abs().max()):.4g}") for k, v in sorted(f64.items())}})


def run(model, x, blocks, patch_embed, forward):
    """One picture through a network; cls_per_block is row 0 of the residual stream after each block."""
    seen = {"blocks": []}
    hooks = [b.register_forward_hook(lambda m, i, o: seen["blocks"].append((o[0] if isinstance(o, tuple) else o)[0, 0])) for b in blocks]
    hooks.append(patch_embed.register_forward_hook(lambda m, i, o: seen.__setitem__("patch", o[0])))
    with torch.no_grad():
        result = forward(model, x)
    for h in hooks:
        h.remove()
    return {k: v[0] for k, v in result.items()} | {"cls_per_block": torch.stack(seen["blocks"]), "patch_embed": seen["patch"]}


# ---- Hugging Face -----------------------------------------------------------------------------------------------------------

def hf_forward(model, x):
    tokens = {}
    base = model.base_model
    hook = base.layernorm.register_forward_hook(lambda m, i, o: tokens.__setitem__("tokens", o))
    out = model(x)
    hook.remove()
    if getattr(out, "logits", None) is not None:
        tokens["logits"] = out.logits
    if getattr(out, "pooler_output", None) is not None:
        tokens["pooled"] = out.pooler_output
    return tokens


def hf_run(model, x):
    base = model.base_model
    return run(model, x, base.layers, base.embeddings.patch_embeddings, hf_forward)


def load(cls, folder, dtype=torch.float32, attention="eager"):
    model, info = cls.from_pretrained(folder, dtype=dtype, attn_implementation=attention, output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"], info
    return model.eval(), sorted(info["unexpected_keys"])


def processor_for(config, **options):
    h, w = pair(config.image_size)
    deit = config.model_type == "deit"
    cls = DeiTImageProcessorPil if deit else ViTImageProcessorPil
    options = {"size": {"height": h, "width": w}} | (IMAGENET | {"crop_size": {"height": h, "width": w}} if deit else {}) | options
    return cls(**options)


def hf_case(name, cls, config, processor=None, new_names=False, unused=()):
    folder = os.path.join(HERE, "vit", name)
    os.makedirs(folder)
    processor = processor or processor_for(config)
    with tempfile.TemporaryDirectory() as tmp:
        cls(config).save_pretrained(tmp, save_original_format=not new_names)
        with safe_open(os.path.join(tmp, "model.safetensors"), "pt") as f:
            shapes = {n: describe(n, f.get_slice(n).get_shape()) for n in f.keys()}
        for n, shape in unused:
            shapes[n] = describe(n, shape) | {"unused": True}
        save_file(fill(shapes), os.path.join(tmp, "model.safetensors"), metadata={"format": "pt"})
        x32, x64 = pixels(pair(config.image_size), config.num_channels, processor)
        model, unexpected = load(cls, tmp)
        assert unexpected == sorted(n for n, _ in unused), unexpected
        f32 = hf_run(model, x32)
        f64 = hf_run(load(cls, tmp, torch.float64, "sdpa")[0], x64)
        shutil.copy(os.path.join(tmp, "config.json"), folder)
    processor.save_pretrained(folder)
    write_json(os.path.join(folder, "tensors.json"), shapes)
    write_case(folder, f32, f64, {"class": cls.__name__, "format": "huggingface", "input": "mixed",
                                  "parameters": sum(math.prod(s["shape"]) for s in shapes.values() if "unused" not in s)})


def vit(image=64, patch=16, dim=64, heads=2, depth=3, mlp=None, labels=10, cls=ViTConfig, **more):
    return cls(image_size=image, patch_size=patch, hidden_size=dim, num_attention_heads=heads, num_hidden_layers=depth,
               intermediate_size=mlp or 4 * dim, num_labels=labels, **more)


def hf_cases():
    c, m = ViTForImageClassification, ViTModel
    hf_case("vit_p16", c, vit())
    hf_case("vit_p8_head48", c, vit(80, 8, 96, 2, 1))
    hf_case("vit_p14_depth5", c, vit(98, 14, 128, 2, 5))
    hf_case("vit_p32_gelu_new", c, vit(224, 32, 192, 3, 3, hidden_act="gelu_new"))
    hf_case("vit_gelu_tanh", c, vit(48, 8, 64, 1, 3, hidden_act="gelu_pytorch_tanh"))
    hf_case("vit_grey", c, vit(56, 14, 64, 2, 3, num_channels=1),
            ViTImageProcessorPil(size={"height": 56, "width": 56}, image_mean=[0.1307], image_std=[0.3081]))
    hf_case("vit_no_qkv_bias", c, vit(64, 16, 96, 3, 3, qkv_bias=False))
    hf_case("vit_wide_image", c, vit([48, 112], 16, 64, 2, 3))
    hf_case("vit_rect_patch", c, vit([48, 64], [8, 16], 96, 2, 1))
    hf_case("vit_197_tokens", c, vit(224, 16, 64, 1, 3, mlp=128))
    hf_case("vit_odd_sizes", c, vit(60, 12, 72, 3, 5, mlp=100, labels=7, layer_norm_eps=1e-5))
    hf_case("vit_labels", c, vit(32, 8, 64, 2, 1, labels=3, id2label={0: "tabby, tabby cat", 1: "caf\u00e9 \"noir\"", 2: "\u732b"},
                                 label2id={"tabby, tabby cat": 0, "caf\u00e9 \"noir\"": 1, "\u732b": 2}))
    hf_case("vit_one_patch", c, vit(16, 16, 64, 2, 1, labels=2))
    hf_case("vit_rescale", c, vit(64, 16, 64, 2, 1),
            ViTImageProcessorPil(size={"height": 64, "width": 64}, rescale_factor=1 / 127.5, image_mean=[1.0, 1.0, 1.0], image_std=[1.0, 1.0, 1.0]))
    hf_case("vit_no_normalize", c, vit(64, 16, 64, 2, 1), ViTImageProcessorPil(size={"height": 64, "width": 64}, do_normalize=False))
    hf_case("vit_new_names", c, vit(64, 16, 64, 2, 3), new_names=True)
    hf_case("vit_unused_tensors", c, vit(64, 16, 64, 2, 1), unused=[
        ("vit.pooler.dense.weight", [64, 64]), ("vit.pooler.dense.bias", [64]), ("vit.embeddings.mask_token", [1, 1, 64])])
    hf_case("vit_model_pooler", m, vit(80, 16, 96, 3, 3))
    hf_case("vit_model_new_names", m, vit(32, 8, 64, 2, 1), new_names=True)
    hf_case("vit_model_head80", m, vit(64, 16, 160, 2, 1))
    d = lambda *a, **k: vit(*a, cls=DeiTConfig, **k)
    hf_case("deit_p16", DeiTForImageClassification, d(64, 16, 96, 3, 3))
    hf_case("deit_teacher", DeiTForImageClassificationWithTeacher, d(64, 8, 64, 2, 3))
    hf_case("deit_teacher_p14", DeiTForImageClassificationWithTeacher, d(112, 14, 128, 4, 5, labels=5))
    hf_case("deit_model_pooler", DeiTModel, d(48, 16, 64, 2, 1))
    hf_case("deit_teacher_new_names", DeiTForImageClassificationWithTeacher, d(32, 8, 64, 2, 1), new_names=True)


# ---- timm -------------------------------------------------------------------------------------------------------------------

DEFAULTS = {  # what the architecture's name implies
    "vit_tiny_patch16_224": dict(img_size=224, patch_size=16, embed_dim=192, depth=12, num_heads=3),
    "vit_small_patch16_224": dict(img_size=224, patch_size=16, embed_dim=384, depth=12, num_heads=6),
    "vit_base_patch32_224": dict(img_size=224, patch_size=32, embed_dim=768, depth=12, num_heads=12),
    "deit_tiny_patch16_224": dict(img_size=224, patch_size=16, embed_dim=192, depth=12, num_heads=3),
    "deit_tiny_distilled_patch16_224": dict(img_size=224, patch_size=16, embed_dim=192, depth=12, num_heads=3, distilled=True),
}


def timm_forward(model, x):
    tokens = model.forward_features(x)
    return {"tokens": tokens, "pooled": model.forward_pool(tokens), "logits": model.forward_head(tokens)}


def timm_run(model, x):
    return run(model, x, model.blocks, model.patch_embed, timm_forward)


def as_transformers(model, options, image):
    """The same network from transformers with the weights renamed and q, k, v apart; None where transformers has no such network."""
    if options.get("global_pool", "token") != "token" or options.get("no_embed_class") or not options["num_classes"]:
        return None
    distilled = options.get("distilled", False)
    config = vit(list(image), list(pair(options["patch_size"])), options["embed_dim"], options["num_heads"], options["depth"],
                 int(options["embed_dim"] * options.get("mlp_ratio", 4)), options["num_classes"], DeiTConfig if distilled else ViTConfig,
                 layer_norm_eps=1e-6, num_channels=options.get("in_chans", 3), qkv_bias=options.get("qkv_bias", True))
    other = (DeiTForImageClassificationWithTeacher if distilled else ViTForImageClassification)(config)
    base, sd, new = ("deit." if distilled else "vit."), model.state_dict(), {}
    rename = {"cls_token": base + "embeddings.cls_token", "dist_token": base + "embeddings.distillation_token",
              "pos_embed": base + "embeddings.position_embeddings", "norm.": base + "layernorm.",
              "patch_embed.proj": base + "embeddings.patch_embeddings.projection", "blocks.": base + "layers.",
              "norm1": "layernorm_before", "norm2": "layernorm_after", "attn.proj": "attention.o_proj", "attn.qkv": "attention.qkv",
              "head_dist": "distillation_classifier", "head.": "cls_classifier." if distilled else "classifier."}
    for name, value in sd.items():
        for old, to in rename.items():
            if name.startswith(old) or "." + old in name:
                name = name.replace(old, to, 1)
        if "qkv" in name:
            new |= {name.replace("qkv", p + "_proj"): part for p, part in zip("qkv", value.chunk(3))}
        else:
            new[name] = value
    other.load_state_dict(new)
    return other.eval()


def timm_case(name, architecture, num_classes, crop_pct=0.9, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), **model_args):
    folder = os.path.join(HERE, "vit", name)
    os.makedirs(folder)
    options = DEFAULTS[architecture] | {"num_classes": num_classes} | model_args
    image, channels = pair(options["img_size"]), options.get("in_chans", 3)
    model = TimmVit(**options).eval()
    shapes = {n: describe(n, t.shape) for n, t in model.state_dict().items()}
    model.load_state_dict(fill(shapes))
    processor = ViTImageProcessorPil(size={"height": image[0], "width": image[1]}, image_mean=list(mean), image_std=list(std))
    x32, x64 = pixels(image, channels, processor)
    f32 = timm_run(model, x32)
    other = as_transformers(model, options, image)
    if other is not None:
        with torch.no_grad():
            assert (other(x32).logits[0] - f32["logits"]).abs().max() < 1e-5, name
    f64 = timm_run(model.double(), x64)
    if not num_classes:
        del f32["logits"], f64["logits"]
    pool = options.get("global_pool", "token")
    config = {"architecture": architecture, "num_classes": num_classes, "num_features": options["embed_dim"], "global_pool": pool}
    if model_args:
        config["model_args"] = model_args
    config["pretrained_cfg"] = {
        "tag": "golden", "custom_load": False, "input_size": [channels, *image], "fixed_input_size": True, "interpolation": "bicubic",
        "crop_pct": crop_pct, "crop_mode": "center", "mean": list(mean), "std": list(std), "num_classes": num_classes, "pool_size": None,
        "first_conv": "patch_embed.proj", "classifier": ["head", "head_dist"] if options.get("distilled") else "head"}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")
    write_json(os.path.join(folder, "tensors.json"), shapes)
    write_case(folder, f32, f64, {"class": "TimmVit", "format": "timm", "input": "mixed",
                                  "parameters": sum(math.prod(s["shape"]) for s in shapes.values())})


def timm_cases():
    imagenet = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    small = dict(img_size=64, patch_size=8, embed_dim=96, depth=3, num_heads=3)
    timm_case("timm_vit_tiny", "vit_tiny_patch16_224", 1000)
    timm_case("timm_deit_tiny_classes", "deit_tiny_patch16_224", 10, **imagenet)
    timm_case("timm_vit_args", "vit_small_patch16_224", 10, **small)
    timm_case("timm_distilled", "deit_tiny_distilled_patch16_224", 10, **imagenet, img_size=64, embed_dim=64, depth=3, num_heads=2)
    timm_case("timm_avg", "vit_small_patch16_224", 10, **small, global_pool="avg")
    timm_case("timm_avg_no_cls", "vit_small_patch16_224", 10, **small, global_pool="avg", class_token=False, fc_norm=False)
    timm_case("timm_no_embed_class", "vit_small_patch16_224", 10, crop_pct=1.0, img_size=[48, 64], patch_size=16, embed_dim=64, depth=1,
              num_heads=2, no_embed_class=True)
    timm_case("timm_no_head", "vit_base_patch32_224", 0, img_size=96, embed_dim=64, depth=1, num_heads=2)
    timm_case("timm_grey", "vit_small_patch16_224", 10, mean=(0.5,), std=(0.25,), img_size=64, embed_dim=64, depth=1, num_heads=1,
              in_chans=1, mlp_ratio=2, qkv_bias=False)


# ---- folders as transformers writes them ----------------------------------------------------------------------------------

def saved_case(name, cls, config, dtype=torch.float32, **save_options):
    """Weights drawn by torch, saved in `dtype`; expected values from the saved weights read back and converted to f32 and f64."""
    folder = os.path.join(HERE, "saved", name)
    os.makedirs(folder)
    torch.manual_seed(20)
    model = cls(config)
    with torch.no_grad():
        for n, p in model.named_parameters():
            std = 0.05 if p.ndim == 1 else 0.3 if p.ndim == 3 else 1 / math.sqrt(math.prod(p.shape[1:]))
            p.normal_(1.0 if "norm" in n and n.endswith("weight") else 0.0, std)
    model.to(dtype).save_pretrained(folder, **save_options)
    processor = processor_for(config)
    processor.save_pretrained(folder)
    x32, x64 = pixels(pair(config.image_size), config.num_channels, processor)
    f32 = hf_run(load(cls, folder)[0], x32)
    f64 = hf_run(load(cls, folder, torch.float64, "sdpa")[0], x64)
    files = sorted(f for f in os.listdir(folder) if f.endswith(".safetensors"))
    stored = {str(t.dtype) for f in files for t in load_file(os.path.join(folder, f)).values()}
    assert stored == {str(dtype)}, stored
    write_case(folder, f32, f64, {"class": cls.__name__, "format": "huggingface", "input": "mixed", "dtype": str(dtype)[6:],
                                  "parameters": sum(p.numel() for p in model.parameters())})


def saved_cases():
    saved_case("vit_sharded", ViTForImageClassification, vit(32, 8, 48, 2, 1, mlp=96, labels=5), max_shard_size="30KB")
    saved_case("vit_f16", ViTForImageClassification, vit(32, 8, 64, 2, 1, mlp=128, labels=5), torch.float16)
    saved_case("vit_model_f32", ViTModel, vit([16, 24], 8, 32, 1, 1, mlp=64))
    saved_case("deit_teacher_bf16", DeiTForImageClassificationWithTeacher, vit(32, 8, 48, 3, 1, mlp=96, labels=5, cls=DeiTConfig), torch.bfloat16)


if __name__ == "__main__":
    torch.set_num_threads(2)
    for sub in ("vit", "saved"):
        shutil.rmtree(os.path.join(HERE, sub), ignore_errors=True)
    hf_cases(), timm_cases(), saved_cases()
    print("torch", torch.__version__, "transformers", transformers.__version__)
