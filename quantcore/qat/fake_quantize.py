"""`FakeQuantize`: activations rounded to the grid that they will have as int8."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from quantcore.qat.arithmetic import ends_on_grid, fake_quantize_activations
from quantcore.qat.listening import heard
from quantcore.qat.passes import is_exporting, is_observing
from quantcore.qat.recipe import check_range

__all__ = ["PACKAGE", "SUFFIX", "FakeQuantize", "NonPositive"]

PACKAGE = "quantcore"
SUFFIX = "_fake_quantize"  # of the name of the layer that quantizes another's output
FIXED, LEARNT = "fixed", "learnt"


@keras.saving.register_keras_serializable(package=PACKAGE)
class NonPositive(keras.constraints.Constraint):
    """Constrains a variable to be zero or less."""

    def __call__(self, w: Any) -> Any:
        """Return `w` without what is greater than zero."""
        return keras.ops.minimum(w, 0.0)


@keras.saving.register_keras_serializable(package=PACKAGE)
class FakeQuantize(keras.layers.Layer):
    """Rounds activations to 8 bits, as ``tf.quantization.fake_quant_with_min_max_vars`` does.

    One layer is one range. It is called once for each place in the model that has it: at those with a
    `member`, values are observed, and the range holds what all of them saw.

    Parameters
    ----------
    ranges : {"moving_average", "learnt", "fixed"}
        Moving averages of each training batch's minimum and maximum; trainable variables, first set by
        calibration or by the first training batch; or fixed.
    momentum : float
        Of the moving averages.
    members : int
        Number of places whose values are observed.
    fixed_range : tuple of float, optional
        The range (min, max) if it is fixed.

    Notes
    -----
    The range always holds zero. Outside of training nothing is updated. Until there is a range, values pass
    unchanged.

    Examples
    --------
    >>> y = FakeQuantize(name="x_range")(x, member=0)                     # doctest: +SKIP
    """

    def __init__(
        self,
        ranges: str = "moving_average",
        momentum: float = 0.99,
        members: int = 1,
        fixed_range: tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ranges = ranges
        self.momentum = momentum
        self.members = members
        self.fixed_range = None if fixed_range is None else check_range(self.name, *fixed_range)
        self.supports_jit = False  # with jit_compile="auto" predictions are those of TensorFlow's kernels
        self.supports_masking = True

    def build(self, *_: Any, **__: Any) -> None:
        """Create the variables of the range."""
        if self.ranges != FIXED:
            learnt = self.ranges == LEARNT
            shape = () if learnt else (self.members,)
            self.range_min = self._variable("min", shape, learnt, NonPositive())
            self.range_max = self._variable("max", shape, learnt, keras.constraints.NonNeg())
            self.seen = self.add_weight(
                name="seen", shape=(self.members,), dtype="bool", initializer="zeros", trainable=False
            )
        self.built = True

    def _variable(self, name: str, shape: tuple[int, ...], learnt: bool, constraint: Any) -> Any:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer="zeros",
            trainable=learnt,
            constraint=constraint if learnt else None,
        )

    def call(self, inputs: Any, member: int | None = None, training: bool | None = None) -> Any:
        """Return `inputs` on the grid.

        Parameters
        ----------
        inputs : tensor of float32
        member : int, optional
            Which of the members this place is; without it, values pass by that the others have seen.
        training : bool, optional
            Whether the range follows the values.
        """
        if is_observing():
            if member is not None and self.ranges != FIXED:
                self._observe(inputs, member)
            return inputs
        if training and self.trainable and member is not None and self.ranges != FIXED:
            self._follow(inputs, member)
        if is_exporting():
            with tf.init_scope():  # as constants: the converter's folding may differ in the last bit
                low, high = (
                    float(end) for end in ends_on_grid(*map(tf.constant, self.current_range() or ()))
                )
            outputs = tf.quantization.fake_quant_with_min_max_vars(inputs, low, high, num_bits=8)
        elif self.ranges == FIXED:
            assert self.fixed_range is not None
            outputs = fake_quantize_activations(inputs, *self.fixed_range)
        elif training:
            outputs = fake_quantize_activations(inputs, *self._range())
        else:
            outputs = tf.cond(
                tf.reduce_any(self.seen.value),
                lambda: fake_quantize_activations(inputs, *self._range()),
                lambda: tf.identity(inputs),
            )
        logits = getattr(inputs, "_keras_logits", None)
        if logits is not None:  # losses of Keras take the logits behind a softmax or sigmoid from here
            outputs._keras_logits = logits
        return heard(self, outputs)

    def current_range(self) -> tuple[float, float] | None:
        """Return (min, max) as Python floats; None while there is no range."""
        if self.ranges == FIXED:
            return self.fixed_range
        if not self.built or not bool(keras.ops.convert_to_numpy(self.seen).any()):
            return None
        low, high = (keras.ops.convert_to_numpy(v) for v in self._range())
        return float(low), float(high)

    def reset(self) -> None:
        """Forget the range."""
        if self.ranges != FIXED:
            for variable in (self.range_min, self.range_max, self.seen):
                variable.assign(tf.zeros_like(variable.value))

    def _range(self) -> tuple[Any, Any]:
        """Return minimum and maximum; a member that has seen nothing holds (0, 0), which widens nothing."""
        if self.ranges == LEARNT:
            return self.range_min.value, self.range_max.value
        if self.members == 1:
            return self.range_min.value[0], self.range_max.value[0]
        return tf.reduce_min(self.range_min.value), tf.reduce_max(self.range_max.value)

    def _follow(self, inputs: Any, member: int) -> None:
        """Update the range by a training batch."""
        low, high = self._extremes(inputs)
        seen = self.seen.value[member]
        if self.ranges == LEARNT:  # set by the first batch, which each member widens; training does the rest
            low = tf.where(seen, self.range_min.value, tf.minimum(low, self.range_min.value))
            high = tf.where(seen, self.range_max.value, tf.maximum(high, self.range_max.value))
        else:
            rate = 1.0 - self.momentum
            old_low, old_high = self.range_min.value[member], self.range_max.value[member]
            low = tf.where(seen, old_low * self.momentum + low * rate, low)
            high = tf.where(seen, old_high * self.momentum + high * rate, high)
        self._assign(member, low, high)

    def _observe(self, inputs: Any, member: int) -> None:
        """Widen the range to what a calibration batch holds."""
        low, high = self._extremes(inputs)
        index = () if self.ranges == LEARNT else member
        low = tf.minimum(low, self.range_min.value[index])
        high = tf.maximum(high, self.range_max.value[index])
        self._assign(member, low, high)

    def _extremes(self, inputs: Any) -> tuple[Any, Any]:
        inputs = tf.stop_gradient(inputs)
        return tf.minimum(tf.reduce_min(inputs), 0.0), tf.maximum(tf.reduce_max(inputs), 0.0)

    def _assign(self, member: int, low: Any, high: Any) -> None:
        here = tf.one_hot(member, self.members, on_value=True, off_value=False, dtype=tf.bool)
        if self.ranges == LEARNT:
            self.range_min.assign(low)
            self.range_max.assign(high)
        else:
            self.range_min.assign(tf.where(here, low, self.range_min.value))
            self.range_max.assign(tf.where(here, high, self.range_max.value))
        self.seen.assign(tf.logical_or(self.seen.value, here))

    def compute_output_shape(self, input_shape: Any, *_: Any, **__: Any) -> Any:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {
            **super().get_config(),
            "ranges": self.ranges,
            "momentum": self.momentum,
            "members": self.members,
            "fixed_range": self.fixed_range,
        }
