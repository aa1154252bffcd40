"""ViT-MAE with its decoder: patches predicted from those that a given noise leaves visible -> mae/<case>/. See README.md."""
import os
import shutil
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from golden import HERE, floats, picture, write_json
from make_families import MEAN, STD, describe, network_pixels

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
SIZES = [(48, 48), (24, 32), (40, 56), (16, 16)]


def predict(model, height, width, dtype):
    x = network_pixels(height, width, 3, dtype)
    count = height * width // model.config.patch_size ** 2
    noise = torch.from_numpy(floats("noise", (1, count), "token", 1.0)).to(dtype)
    assert len(noise.unique()) == count  # torch.argsort does not say what it does with equal ones
    with torch.no_grad():
        out = model(x, noise=noise, interpolate_pos_encoding=True)
        target = model.patchify(x, interpolate_pos_encoding=True)
    return out.logits[0], out.mask[0], out.ids_restore[0], target[0]


def pixels(model, logits, target, height, width):
    """What the predictions look like, u8: the normalisation of each patch undone with its true mean and variance, then the picture's."""
    if model.config.norm_pix_loss:  # as ViTMAEForPreTraining.forward_loss does it
        logits = logits * (target.var(dim=-1, keepdim=True) + 1.0e-6) ** 0.5 + target.mean(dim=-1, keepdim=True)
    image = model.unpatchify(logits[None], (height, width))[0].permute(1, 2, 0).numpy()
    return np.clip(np.floor((image * np.array(STD) + np.array(MEAN)) * 255 + 0.5), 0, 255).astype(np.uint8)


def case(name, config):
    folder = os.path.join(HERE, "mae", name)
    os.makedirs(folder)
    with tempfile.TemporaryDirectory() as tmp:
        ViTMAEForPreTraining(config).save_pretrained(tmp)
        with safe_open(os.path.join(tmp, "model.safetensors"), "pt") as f:
            shapes = {n: describe(n, f.get_slice(n).get_shape()) for n in f.keys()}
        save_file({n: torch.from_numpy(floats(n, d["shape"], d["rule"], d["scale"])) for n, d in shapes.items()},
                  os.path.join(tmp, "model.safetensors"), metadata={"format": "pt"})
        models = [ViTMAEForPreTraining.from_pretrained(tmp, dtype=t, attn_implementation="eager").eval() for t in (torch.float32, torch.float64)]
        shutil.copy(os.path.join(tmp, "config.json"), folder)
    for h, w in SIZES:
        f32, f64 = predict(models[0], h, w, torch.float32)[0], predict(models[1], h, w, torch.float64)
        logits, mask, ids_restore, target = f64
        assert (f32.double() - logits).abs().max() < 2e-5 * max(1.0, float(logits.abs().max())), (name, h, w)
        np.save(os.path.join(folder, f"logits_{h}x{w}.npy"), logits.float().numpy())
        np.save(os.path.join(folder, f"mask_{h}x{w}.npy"), mask.numpy().astype(np.uint8))
        np.save(os.path.join(folder, f"ids_restore_{h}x{w}.npy"), ids_restore.numpy().astype(np.int32))
        np.save(os.path.join(folder, f"pixels_{h}x{w}.npy"), pixels(models[1], logits, target, h, w))
    write_json(os.path.join(folder, "preprocessor_config.json"), {
        "image_processor_type": "ViTImageProcessor", "size": {"height": 48, "width": 48}, "resample": 3, "image_mean": MEAN, "image_std": STD})
    write_json(os.path.join(folder, "tensors.json"), shapes)


if __name__ == "__main__":
    torch.set_num_threads(2)
    shutil.rmtree(os.path.join(HERE, "mae"), ignore_errors=True)
    small = dict(hidden_size=64, num_attention_heads=2, num_hidden_layers=2, intermediate_size=160, image_size=48, patch_size=8,
                 decoder_hidden_size=48, decoder_num_hidden_layers=2, decoder_num_attention_heads=3, decoder_intermediate_size=96)
    case("plain", ViTMAEConfig(**small))
    # A decoder that is wider than its encoder; half of the patches hidden.
    case("norm_pix", ViTMAEConfig(**small | dict(decoder_hidden_size=80, decoder_num_attention_heads=2, mask_ratio=0.5), norm_pix_loss=True))
    print("torch", torch.__version__, "transformers", transformers.__version__)
