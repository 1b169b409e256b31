"""MobileNets name a cat and an admiral's uniform, and are bit-exact on these images too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import quantcore as qc
from quantcore.flatbuffer import read_model
from quantcore.numerics import PROFILES
from quantcore.verify import verify
from tests.models.test_real_models import REFUSED, acceptable, describe
from tests.ops.harness import assert_same_bits, get_oracle

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

IMAGES = ("cat", "grace_hopper")

# What is in the first label, for the cat and for the admiral. The networks of a quarter of the width take the
# uniform for other clothes, by TFLite too.
NAMES = {
    "coral_mobilenet_v1_025_128_uint8": ("cat", "academic gown"),
    "coral_mobilenet_v2_224_uint8": ("cat", "military uniform"),
    "coral_tf2_mobilenet_v2_224_int8": ("cat", "military uniform"),
    "support_mobilenet_v1_025_224_float": ("cat", "suit"),
    "support_mobilenet_v1_025_224_uint8": ("cat", "suit"),
}


@pytest.fixture(scope="session")
def images_dir(models_dir: Path) -> Path:
    """Return the folder of images beside that of the models."""
    folder = models_dir.parent / "images"
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder.name} beside {models_dir.name}")
    return folder


def read_bmp(path: Path) -> np.ndarray:
    """Return a 24-bit bitmap as (height, width, RGB): rows from the bottom up, padded to 4 bytes, as BGR."""
    data = path.read_bytes()
    start = int.from_bytes(data[10:14], "little")
    width, height = (int(n) for n in np.frombuffer(data, "<i4", 2, 18))
    assert (data[:2], int.from_bytes(data[28:30], "little"), height > 0) == (b"BM", 24, True)
    stride = (3 * width + 3) // 4 * 4
    rows = np.frombuffer(data, np.uint8, stride * height, start).reshape(height, stride)
    return rows[::-1, : 3 * width].reshape(height, width, 3)[..., ::-1]


def network_input(image: np.ndarray, size: int, dtype: str) -> np.ndarray:
    """Return an image as a MobileNet takes it: size x size, bilinear; floats in [-1, 1]."""
    factors = (size / image.shape[0], size / image.shape[1], 1)
    small = ndimage.zoom(image.astype(np.float32), factors, order=1, grid_mode=True, mode="nearest")
    if dtype == "float32":
        return (small / np.float32(127.5) - 1).astype(np.float32)[None]
    assert dtype == "uint8"
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)[None]


def load_inputs(path: Path, images_dir: Path) -> np.ndarray:
    main = read_model(path).subgraphs[0]
    x = main.tensors[main.inputs[0]]
    inputs = [network_input(read_bmp(images_dir / f"{name}.bmp"), x.shape[1], x.dtype) for name in IMAGES]
    return np.concatenate(inputs)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_on_the_images(name: str, models_dir: Path, images_dir: Path) -> None:
    path = models_dir / f"{name}.tflite"
    labels = (images_dir / "imagenet_labels.txt").read_text().splitlines()
    for x, word in zip(load_inputs(path, images_dir), NAMES[name], strict=True):
        ours = np.asarray(qc.Interpreter(path).run(x[None]))
        (theirs,) = get_oracle().run(path, x[None])
        assert_same_bits(ours, theirs)
        assert ours.shape == (1, len(labels))
        assert word in labels[int(ours.argmax())]


@pytest.mark.parametrize("numerics", PROFILES)
@pytest.mark.parametrize("name", NAMES)
def test_bit_exact(name: str, numerics: str, models_dir: Path, images_dir: Path) -> None:
    path = models_dir / f"{name}.tflite"
    inputs = load_inputs(path, images_dir)
    result = verify(path, inputs, numerics=numerics, oracle=get_oracle(numerics))
    refusal = REFUSED.get(name, {}).get(numerics)
    wrong = [describe(row) for row in result.rows if not acceptable(row, result, refusal)]
    assert not wrong, "\n".join(wrong)
    assert result.samples == len(IMAGES)
