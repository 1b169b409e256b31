"""Layers with fake-quantized weights, into which a batch normalization may be folded.

Their weights are those of the float layers; folding and fake quantization happen in the forward pass.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from quantcore.qat.arithmetic import fake_quantize_weights
from quantcore.qat.batch_norm import factor_of, follow_batch, offset_of
from quantcore.qat.fake_quantize import PACKAGE
from quantcore.qat.passes import is_observing

__all__ = [
    "FakeQuantizedConv1D",
    "FakeQuantizedConv2D",
    "FakeQuantizedConv2DTranspose",
    "FakeQuantizedDense",
    "FakeQuantizedDepthwiseConv2D",
    "FakeQuantizedPReLU",
    "FakeQuantizedWeights",
]


class FakeQuantizedWeights:
    """What the layers share, mixed into the layer of Keras that each is.

    Parameters
    ----------
    weight_bits : {8, 4}
    batch_norm : keras.layers.BatchNormalization, optional
        The one that is folded into the layer.
    statistics : {"moving", "batch"}
        Which statistics the folded batch normalization has in training.

    Notes
    -----
    Folded weights are ``kernel * (gamma * rsqrt(variance + epsilon))``, the bias is ``bias * (...) +
    (beta - mean * (...))``, in the order of operations in which TensorFlow Lite's converter folds them.

    With the statistics of the batch, the weights are still folded with the moving ones, so that their grid
    does not jump from batch to batch; the output is rescaled by the ratio of the two (Krishnamoorthi,
    arXiv:1806.08342, section 3.2.2).
    """

    weight_bits: int
    statistics: str
    batch_norm: Any
    kernel: Any
    bias: Any
    convolution_op: Any
    compute_output_shape: Any

    def __init__(
        self,
        *args: Any,
        weight_bits: int = 8,
        batch_norm: Any = None,
        statistics: str = "moving",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.weight_bits = weight_bits
        self.statistics = statistics
        self.batch_norm = (
            keras.saving.deserialize_keras_object(batch_norm) if isinstance(batch_norm, dict) else batch_norm
        )
        self.supports_jit = False

    def build(self, input_shape: Any) -> None:
        """Create the weights of the layer and of its batch normalization."""
        base: Any = super()
        base.build(input_shape)
        if self.batch_norm is not None and not self.batch_norm.built:
            self.batch_norm.build(self.compute_output_shape(input_shape))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return what the layer makes of `inputs` with weights on their grid."""
        kernel, bias = self.kernel_value(), self.bias_value()
        norm = self.batch_norm
        if norm is None:
            return _plus(self.linear(inputs, self.on_grid(kernel)), bias)
        if training and norm.trainable and self.statistics == "batch":
            return self._with_batch_statistics(inputs, kernel, bias)
        factor = factor_of(norm, norm.moving_variance.value)
        outputs = self.linear(inputs, self.on_grid(kernel * self.along_channels(factor)))
        return outputs + offset_of(norm, norm.moving_mean.value, factor, bias)

    def _with_batch_statistics(self, inputs: Any, kernel: Any, bias: Any) -> Any:
        norm = self.batch_norm
        outputs = _plus(self.linear(inputs, kernel), bias)
        mean, variance = tf.nn.moments(outputs, list(range(len(outputs.shape) - 1)))
        stable = factor_of(norm, norm.moving_variance.value)
        factor = factor_of(norm, variance)
        stable_variance = norm.moving_variance.value
        ratio = tf.math.rsqrt(variance + norm.epsilon) / tf.math.rsqrt(stable_variance + norm.epsilon)
        quantized = self.linear(inputs, self.on_grid(kernel * self.along_channels(stable)))
        follow_batch(norm, mean, variance)
        return quantized * ratio + offset_of(norm, mean, factor, bias)

    def folded(self) -> tuple[Any, Any]:
        """Return kernel and bias with the moving statistics folded in, before fake quantization.

        The bias is None if there is neither a bias nor a batch normalization.
        """
        norm = self.batch_norm
        if norm is None:
            return self.kernel_value(), self.bias_value()
        factor = factor_of(norm, norm.moving_variance.value)
        offset = offset_of(norm, norm.moving_mean.value, factor, self.bias_value())
        return self.kernel_value() * self.along_channels(factor), offset

    def fake_quantized_kernel(self) -> Any:
        """Return the folded kernel on its grid, as the forward pass outside of training has it."""
        return self.on_grid(self.folded()[0])

    def kernel_value(self) -> Any:
        """Return the float kernel as a tensor."""
        return tf.convert_to_tensor(self.kernel)

    def bias_value(self) -> Any:
        """Return the float bias as a tensor, or None."""
        bias = self.bias
        return None if bias is None else tf.convert_to_tensor(bias)

    def on_grid(self, kernel: Any) -> Any:
        """Return a folded kernel on its grid; while ranges are observed, as it is."""
        return kernel if is_observing() else self.quantize_kernel(kernel)

    def quantize_kernel(self, kernel: Any) -> Any:
        """Return a folded kernel on its grid."""
        return fake_quantize_weights(kernel, -1, self.weight_bits)

    def along_channels(self, factor: Any) -> Any:
        """Return a factor per channel in a shape that multiplies the kernel."""
        return factor

    def linear(self, inputs: Any, kernel: Any) -> Any:
        """Return what the layer computes with that kernel, without bias."""
        return self.convolution_op(inputs, kernel)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        norm = self.batch_norm
        base: Any = super()
        return {
            **base.get_config(),
            "weight_bits": self.weight_bits,
            "batch_norm": None if norm is None else keras.saving.serialize_keras_object(norm),
            "statistics": self.statistics,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class FakeQuantizedConv2D(FakeQuantizedWeights, keras.layers.Conv2D):
    """Conv2D with fake-quantized weights, a range per output channel."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class FakeQuantizedConv1D(FakeQuantizedWeights, keras.layers.Conv1D):
    """Conv1D with fake-quantized weights, a range per output channel.

    It computes as a convolution of images of height 1, which is what TensorFlow Lite has.
    """

    def quantize_kernel(self, kernel: Any) -> Any:
        """Return a folded kernel on its grid, as a filter of height 1."""
        return fake_quantize_weights(kernel[tf.newaxis], -1, self.weight_bits)

    def linear(self, inputs: Any, kernel: Any) -> Any:
        """Return what the layer computes with that kernel, without bias."""
        kernel = kernel if len(kernel.shape) == 4 else kernel[tf.newaxis]
        padding = self.padding
        if padding == "causal":
            missing = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            inputs, padding = tf.pad(inputs, [[0, 0], [missing, 0], [0, 0]]), "valid"
        outputs = keras.ops.conv(
            inputs[:, tf.newaxis],
            kernel,
            [self.strides[0]] * 2,
            padding,
            "channels_last",
            [1, self.dilation_rate[0]],
        )
        return tf.squeeze(outputs, 1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class FakeQuantizedDepthwiseConv2D(FakeQuantizedWeights, keras.layers.DepthwiseConv2D):
    """DepthwiseConv2D with fake-quantized weights, a range per output channel."""

    def quantize_kernel(self, kernel: Any) -> Any:
        """Return a folded kernel on its grid."""
        shape = kernel.shape  # height, width, inputs, multiplier: the last two are the output channels
        flat = tf.reshape(kernel, [shape[0], shape[1], shape[2] * shape[3]])
        return tf.reshape(fake_quantize_weights(flat, -1, self.weight_bits), shape)

    def along_channels(self, factor: Any) -> Any:
        """Return a factor per channel in a shape that multiplies the kernel."""
        return tf.reshape(factor, self.kernel.shape[2:])

    def linear(self, inputs: Any, kernel: Any) -> Any:
        """Return what the layer computes with that kernel, without bias."""
        return keras.ops.depthwise_conv(
            inputs, kernel, self.strides, self.padding, self.data_format, self.dilation_rate
        )


@keras.saving.register_keras_serializable(package=PACKAGE)
class FakeQuantizedConv2DTranspose(FakeQuantizedWeights, keras.layers.Conv2DTranspose):
    """Conv2DTranspose with fake-quantized weights, a range per output channel; of 8 bits."""

    def quantize_kernel(self, kernel: Any) -> Any:
        """Return a folded kernel on its grid."""
        return fake_quantize_weights(kernel, 2, self.weight_bits, elementary=True)

    def along_channels(self, factor: Any) -> Any:
        """Return a factor per channel in a shape that multiplies the kernel."""
        return factor[:, tf.newaxis]

    def linear(self, inputs: Any, kernel: Any) -> Any:
        """Return what the layer computes with that kernel, without bias."""
        return keras.ops.conv_transpose(
            inputs,
            kernel,
            list(self.strides),
            self.padding,
            self.output_padding,
            self.data_format,
            self.dilation_rate,
        )


@keras.saving.register_keras_serializable(package=PACKAGE)
class FakeQuantizedDense(FakeQuantizedWeights, keras.layers.Dense):
    """Dense with fake-quantized weights: of 8 bits with a range per unit, of 4 bits with one for all.

    The converter has no fake quantization per channel for FULLY_CONNECTED.
    """

    def quantize_kernel(self, kernel: Any) -> Any:
        """Return a folded kernel on its grid."""
        if self.weight_bits == 8:
            return fake_quantize_weights(kernel, -1, 8, elementary=True)
        return fake_quantize_weights(kernel, None, self.weight_bits)

    def linear(self, inputs: Any, kernel: Any) -> Any:
        """Return what the layer computes with that kernel, without bias."""
        return keras.ops.matmul(inputs, kernel)


@keras.saving.register_keras_serializable(package=PACKAGE)
class FakeQuantizedPReLU(keras.layers.PReLU):
    """PReLU with fake-quantized slopes of 8 bits, symmetric, one range for all."""

    def call(self, inputs: Any) -> Any:
        """Return the activation of `inputs`."""
        slopes = tf.convert_to_tensor(self.alpha)
        if not is_observing():
            slopes = fake_quantize_weights(slopes, None, 8, elementary=True)
        return tf.nn.relu(inputs) + -slopes * tf.nn.relu(-inputs)


def _plus(outputs: Any, bias: Any) -> Any:
    return outputs if bias is None else outputs + bias
