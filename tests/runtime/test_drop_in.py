"""The evaluation loop of the "post-training integer quantization" tutorial, with one import changed.

`run_tflite_model` is the tutorial's, as people paste it: one interpreter for the whole test set, one image at
a time, the input rescaled by hand where it is uint8, the prediction by argmax. Only the class and the
outputs, which are returned beside the predictions, are additions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantcore import Interpreter
from quantcore.demo.data import load_digits
from quantcore.demo.pipeline import MODES
from quantcore.demo.training import NETWORKS
from quantcore.differences import differing
from tests.process import run_with_tensorflow

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

MODELS = [f"{network}_{mode}" for network in NETWORKS for mode in MODES]


def run_tflite_model(
    interpreter_class: Callable[..., Any], tflite_file: str, test_images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictions and the outputs for all images."""
    test_image_indices = range(test_images.shape[0])

    # Initialize the interpreter
    interpreter = interpreter_class(model_path=str(tflite_file))
    interpreter.allocate_tensors()

    input_details = interpreter.get_input_details()[0]
    output_details = interpreter.get_output_details()[0]

    predictions = np.zeros((len(test_image_indices),), dtype=int)
    outputs = []
    for i, test_image_index in enumerate(test_image_indices):
        test_image = test_images[test_image_index]

        # Check if the input type is quantized, then rescale input data to uint8
        if input_details["dtype"] == np.uint8:
            input_scale, input_zero_point = input_details["quantization"]
            test_image = test_image / input_scale + input_zero_point

        test_image = np.expand_dims(test_image, axis=0).astype(input_details["dtype"])
        interpreter.set_tensor(input_details["index"], test_image)
        interpreter.invoke()
        output = interpreter.get_tensor(output_details["index"])[0]

        predictions[i] = output.argmax()
        outputs.append(output)

    return predictions, np.array(outputs)


# In a process of its own: what TensorFlow Lite answers, by default and with the reference kernels.
ORACLE_SCRIPT = """
import sys, functools
import numpy as np, tensorflow as tf
from tests.runtime.test_drop_in import run_tflite_model
images = np.load(sys.argv[1])
reference = functools.partial(
    tf.lite.Interpreter, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF)
found = {}
for path in sys.argv[3:]:
    name = path.rpartition("/")[2].removesuffix(".tflite")
    found["default/" + name], _ = run_tflite_model(tf.lite.Interpreter, path, images)
    found["reference/" + name], found["outputs/" + name] = run_tflite_model(reference, path, images)
np.savez(sys.argv[2], **found)
"""


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Return the held-out images of the demo."""
    return load_digits(0).test_images


@pytest.fixture(scope="module")
def expected(demo_output: Path, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what TensorFlow Lite answers for each model of the demo."""
    folder = tmp_path_factory.mktemp("tutorial")
    np.save(folder / "images.npy", images)
    paths = [demo_output / f"{name}.tflite" for name in MODELS]
    run_with_tensorflow("-c", ORACLE_SCRIPT, folder / "images.npy", folder / "found.npz", *paths)
    with np.load(folder / "found.npz") as found:
        return dict(found)


@pytest.mark.parametrize("name", MODELS)
def test_same_predictions(name: str, demo_output: Path, images: np.ndarray, expected: Any) -> None:
    predictions, outputs = run_tflite_model(Interpreter, str(demo_output / f"{name}.tflite"), images)
    np.testing.assert_array_equal(predictions, expected[f"reference/{name}"])
    np.testing.assert_array_equal(predictions, expected[f"default/{name}"])
    assert outputs.dtype == expected[f"outputs/{name}"].dtype
    assert not differing(outputs, expected[f"outputs/{name}"]).any()
