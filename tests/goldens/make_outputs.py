"""Attention maps and the tokens between blocks of networks of families/, at one size each -> outputs/<case>/. See README.md."""
import json
import os
import shutil
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

from golden import HERE, floats, write_json
from make_families import network_pixels

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def load(name, dtype):
    source = os.path.join(HERE, "families", name)
    with open(os.path.join(source, "tensors.json")) as f:
        shapes = json.load(f)
    with open(os.path.join(source, "case.json")) as f:
        cls = getattr(transformers, json.load(f)["class"])
    with tempfile.TemporaryDirectory() as tmp:
        shutil.copy(os.path.join(source, "config.json"), tmp)
        save_file({n: torch.from_numpy(floats(n, d["shape"], d["rule"], d["scale"])) for n, d in shapes.items()},
                  os.path.join(tmp, "model.safetensors"), metadata={"format": "pt"})
        return cls.from_pretrained(tmp, dtype=dtype, attn_implementation="eager").eval()


def run(name, height, width, blocks, norm, interpolate, dtype):
    """attentions [L, heads, T, T]; hidden_states [L + 1, T, D], what goes into each block and comes out of the last; layers [L, T, D]:
    after each block and the final norm."""
    model, states = load(name, dtype), []
    layers = blocks(model)
    hooks = [layer.register_forward_hook(lambda m, i, o: states.append((o[0] if isinstance(o, tuple) else o)[0])) for layer in layers]
    hooks.append(layers[0].register_forward_pre_hook(lambda m, i: states.append(i[0][0])))
    options = {"interpolate_pos_encoding": True} if interpolate else {}
    with torch.no_grad():
        attentions = model(network_pixels(height, width, 3, dtype), output_attentions=True, **options).attentions
        for hook in hooks:
            hook.remove()
        normed = [norm(model)(state) for state in states[1:]] if norm else states[1:]
    return {"attentions": torch.stack([a[0] for a in attentions]), "hidden_states": torch.stack(states), "layers": torch.stack(normed)}


def case(name, height, width, blocks, norm, interpolate=True):
    f32, f64 = (run(name, height, width, blocks, norm, interpolate, dtype) for dtype in (torch.float32, torch.float64))
    folder = os.path.join(HERE, "outputs", name)
    os.makedirs(folder)
    for key, value in f64.items():
        error = float((f32[key].double() - value).abs().max() / max(1.0, float(value.abs().max())))
        assert error < 2e-5, (name, key, error)
        np.save(os.path.join(folder, key + ".npy"), value.float().numpy())
    write_json(os.path.join(folder, "case.json"), {"height": height, "width": width, "normed": norm is not None})


if __name__ == "__main__":
    torch.set_num_threads(2)
    shutil.rmtree(os.path.join(HERE, "outputs"), ignore_errors=True)
    case("vit", 24, 32, lambda m: m.vit.layers, lambda m: m.vit.layernorm)
    case("dinov2", 28, 42, lambda m: m.encoder.layer, lambda m: m.layernorm)
    case("dinov2_registers", 42, 28, lambda m: m.encoder.layer, lambda m: m.layernorm)
    case("dinov3", 24, 32, lambda m: m.model.layer, lambda m: m.norm, interpolate=False)
    case("clip", 24, 32, lambda m: m.vision_model.encoder.layers, None)
    case("siglip", 24, 32, lambda m: m.vision_model.encoder.layers if hasattr(m, "vision_model") else m.encoder.layers,
         lambda m: (m.vision_model if hasattr(m, "vision_model") else m).post_layernorm)
    case("beit", 24, 32, lambda m: m.layers, None, interpolate=False)
