"""The demo network in PyTorch: the mathematics and the tensor names of transformers' ViTForImageClassification."""

import json
import struct
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    labels: list
    image_size: int = 64
    patch_size: int = 8
    hidden_size: int = 128
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    intermediate_size: int = 256
    layer_norm_eps: float = 1e-6


def tree(**children):
    """A module that is only a name for its children, so that the parameters' paths are transformers' paths."""
    return nn.ModuleDict(children)


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, inner = config.hidden_size, config.intermediate_size
        self.heads = config.num_attention_heads
        self.layernorm_before = nn.LayerNorm(d, config.layer_norm_eps)
        self.attention = tree(attention=tree(query=nn.Linear(d, d), key=nn.Linear(d, d), value=nn.Linear(d, d)),
                              output=tree(dense=nn.Linear(d, d)))
        self.layernorm_after = nn.LayerNorm(d, config.layer_norm_eps)
        self.intermediate = tree(dense=nn.Linear(d, inner))
        self.output = tree(dense=nn.Linear(inner, d))

    def forward(self, x, linear):
        batch, tokens, d = x.shape
        y = self.layernorm_before(x)
        # One product for query, key and value: a third of the calls, and the same sums.
        parts = [self.attention["attention"][name] for name in ("query", "key", "value")]
        qkv = linear(y, torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))
        q, k, v = qkv.view(batch, tokens, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).reshape(batch, tokens, d)
        dense = self.attention["output"]["dense"]
        x = x + linear(mixed, dense.weight, dense.bias)
        dense = self.intermediate["dense"]
        y = F.gelu(linear(self.layernorm_after(x), dense.weight, dense.bias))
        dense = self.output["dense"]
        return x + linear(y, dense.weight, dense.bias)


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, p, side = config.hidden_size, config.patch_size, config.image_size // config.patch_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, d))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + side * side, d))
        self.patch_embeddings = tree(projection=nn.Conv2d(3, d, p, p))

    def forward(self, x, linear):
        projection = self.patch_embeddings["projection"]
        patches = F.unfold(x, projection.kernel_size, stride=projection.stride).transpose(1, 2)
        patches = linear(patches, projection.weight.flatten(1), projection.bias)
        return torch.cat([self.cls_token.expand(len(x), -1, -1), patches], 1) + self.position_embeddings


class Vit(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.vit = tree(embeddings=Embeddings(config),
                        encoder=tree(layer=nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))),
                        layernorm=nn.LayerNorm(config.hidden_size, config.layer_norm_eps))
        self.classifier = nn.Linear(config.hidden_size, len(config.labels))

    def forward(self, x, linear=F.linear):
        """x: f32 [B, 3, H, W] in [-1, 1]; `linear` multiplies every weight matrix; returns logits [B, classes]."""
        x = self.vit["embeddings"](x, linear)
        for layer in self.vit["encoder"]["layer"]:
            x = layer(x, linear)
        return linear(self.vit["layernorm"](x[:, 0]), self.classifier.weight, self.classifier.bias)


def normalize(pictures):
    """u8 [B, H, W, 3] (numpy) to the network's input: what preprocessor_config.json says, without the resize."""
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    return (x / 255 - 0.5) / 0.5


def int8_linear(x, weight, bias):
    """The runtime's int8 product, simulated: s8 weights with a scale per output channel, u8 activations with a scale
    and a zero point per row."""
    w_scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
    w = torch.round(weight / w_scale).clamp(-127, 127) * w_scale
    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    scale = ((high - low) / 255).clamp(min=1e-12)
    zero_point = torch.round(-low / scale)
    a = (torch.round(x / scale + zero_point).clamp(0, 255) - zero_point) * scale
    return F.linear(a, w, bias)


def predict(model, pictures, linear=F.linear, batch=250):
    """The top-1 label of every picture, u8 [N, H, W, 3]."""
    model.eval()
    with torch.no_grad():
        return np.concatenate([model(normalize(pictures[i:i + batch]), linear).argmax(1).numpy()
                               for i in range(0, len(pictures), batch)])


def save(model, directory):
    """config.json, preprocessor_config.json and model.safetensors as transformers would write them."""
    c = model.config
    config = {
        "architectures": ["ViTForImageClassification"],
        "attention_probs_dropout_prob": 0.0,
        "encoder_stride": c.patch_size,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": c.hidden_size,
        "id2label": {str(i): label for i, label in enumerate(c.labels)},
        "image_size": c.image_size,
        "initializer_range": 0.02,
        "intermediate_size": c.intermediate_size,
        "label2id": {label: i for i, label in enumerate(c.labels)},
        "layer_norm_eps": c.layer_norm_eps,
        "model_type": "vit",
        "num_attention_heads": c.num_attention_heads,
        "num_channels": 3,
        "num_hidden_layers": c.num_hidden_layers,
        "patch_size": c.patch_size,
        "problem_type": "single_label_classification",
        "qkv_bias": True,
        "torch_dtype": "float32",
    }
    preprocessor = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "ViTImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": c.image_size, "width": c.image_size},
    }
    for name, content in (("config.json", config), ("preprocessor_config.json", preprocessor)):
        with open(f"{directory}/{name}", "w") as file:
            json.dump(content, file, indent=2)
            file.write("\n")

    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in model.state_dict().items():
        raw = tensor.contiguous().numpy().astype("<f4").tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(f"{directory}/model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def load(directory):
    with open(f"{directory}/config.json") as file:
        c = json.load(file)
    fields = {key: c[key] for key in Config.__dataclass_fields__ if key != "labels"}
    model = Vit(Config(labels=[c["id2label"][str(i)] for i in range(len(c["id2label"]))], **fields))
    with open(f"{directory}/model.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, tensor in header.items():
        values = np.frombuffer(data[slice(*tensor["data_offsets"])], "<f4").reshape(tensor["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    model.load_state_dict(tensors)
    return model
