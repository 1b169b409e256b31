"""The whole way, once: train two small networks, convert them in six ways, run and compare them.

The networks are those of TensorFlow Lite's post-training quantization tutorials. `run_demo` in
``pipeline`` does the work; ``quantcore demo`` prints it.
"""
