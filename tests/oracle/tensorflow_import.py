"""What importing TensorFlow's interpreter leaves behind; run by test_packages with one argument."""

import importlib
import sys

import numpy as np

from quantcore.oracle.lite import LiteBackend


class HiddenOnce:
    """Lets the first import of the interpreter fail, as one would that needs more of TensorFlow."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "tensorflow.lite.python.interpreter" and self in sys.meta_path:
            sys.meta_path.remove(self)
            raise ImportError(name)


if sys.argv[1] == "hidden":
    sys.meta_path.insert(0, HiddenOnce())
backend = LiteBackend("tensorflow")
assert ("tensorflow" in sys.modules) == (sys.argv[1] == "hidden")
tensorflow = importlib.import_module("tensorflow")
assert tensorflow.__version__ == backend.version
concrete = tensorflow.function(lambda x: x + x).get_concrete_function(tensorflow.TensorSpec((2,)))
data = tensorflow.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
interpreter = backend.interpreter(data, "BUILTIN_REF", 1)
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.array([1, 2], np.float32))
interpreter.invoke()
assert interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tolist() == [2.0, 4.0]
