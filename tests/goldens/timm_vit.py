"""timm's VisionTransformer and VisionTransformerDistilled in plain PyTorch: the same tensor names, shapes and evaluation-mode
semantics, LayerNorm eps 1e-6, exact GELU. make_vit.py checks it against transformers' networks on the same weights."""
import torch
from torch import nn


class PatchEmbed(nn.Module):
    def __init__(self, patch, channels, dim):
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, patch, patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    def __init__(self, dim, heads, qkv_bias):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        p = (q * (d // self.heads) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((p @ v).transpose(1, 2).reshape(b, t, d))


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim, heads, hidden, qkv_bias):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, 1e-6), Attention(dim, heads, qkv_bias)
        self.norm2, self.mlp = nn.LayerNorm(dim, 1e-6), Mlp(dim, hidden)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TimmVit(nn.Module):
    def __init__(self, img_size, patch_size, embed_dim, depth, num_heads, num_classes, in_chans=3, mlp_ratio=4.0, qkv_bias=True,
                 global_pool="token", fc_norm=None, class_token=True, no_embed_class=False, distilled=False):
        super().__init__()
        pair = lambda v: (v, v) if isinstance(v, int) else tuple(v)
        (h, w), (ph, pw) = pair(img_size), pair(patch_size)
        self.global_pool, self.no_embed_class, self.distilled = global_pool, no_embed_class, distilled
        self.prefix = int(class_token) + int(distilled)
        tokens = (h // ph) * (w // pw) + (0 if no_embed_class else self.prefix)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim)) if class_token else None
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, embed_dim))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, embed_dim)) if distilled else None
        self.patch_embed = PatchEmbed((ph, pw), in_chans, embed_dim)
        self.blocks = nn.Sequential(*[Block(embed_dim, num_heads, int(embed_dim * mlp_ratio), qkv_bias) for _ in range(depth)])
        use_fc_norm = global_pool == "avg" if fc_norm is None else fc_norm
        self.norm = nn.Identity() if use_fc_norm else nn.LayerNorm(embed_dim, 1e-6)
        self.fc_norm = nn.LayerNorm(embed_dim, 1e-6) if use_fc_norm else nn.Identity()
        self.head = nn.Linear(embed_dim, num_classes) if num_classes else nn.Identity()
        self.head_dist = nn.Linear(embed_dim, num_classes) if distilled else None

    def forward_features(self, x):
        x = self.patch_embed(x)
        prefix = [t for t in (self.cls_token, self.dist_token) if t is not None]
        if self.no_embed_class:
            x = torch.cat([*prefix, x + self.pos_embed], 1)
        else:
            x = torch.cat([*prefix, x], 1) + self.pos_embed
        return self.norm(self.blocks(x))

    def forward_pool(self, x):
        if self.distilled:
            return (x[:, 0] + x[:, 1]) / 2
        return self.fc_norm(x[:, 0] if self.global_pool == "token" else x[:, self.prefix:].mean(1))

    def forward_head(self, x):
        if self.distilled:
            return (self.head(x[:, 0]) + self.head_dist(x[:, 1])) / 2
        return self.head(self.forward_pool(x))
