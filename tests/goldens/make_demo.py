"""demo/pictures.npy: the PNG samples of models/demo as the network sees them, u8 [16, 64, 64, 3], labels in the order of
the files. The logits beside it are not from here: tests/demo_test.cpp writes them (see README.md)."""
from pathlib import Path

import numpy as np
from PIL import Image

root = Path(__file__).resolve().parents[2]
files = sorted((root / "models/demo/samples").glob("*.png"))
pictures = [np.asarray(Image.open(f).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)) for f in files]
np.save(root / "tests/goldens/demo/pictures.npy", np.stack(pictures))
