"""What the ops compute and refuse: the installed wheel, on the CPU and on the GPU where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tensorflow as tf
import tfwheel_ops
from tfwheel_ops import _selftest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEVICES = ["/CPU:0", "/GPU:0"] if tf.config.list_physical_devices("GPU") else ["/CPU:0"]
DTYPES = ["float32", "float16", "bfloat16"]
CASES = {case.name: case for case in _selftest.registered()}


@pytest.fixture(params=DEVICES, autouse=True)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    with tf.device(request.param):
        yield request.param


def normal(*shape: int, dtype: str = "float32", seed: int = 1) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape), dtype)


def gradients(function: Callable[..., tf.Tensor], *inputs: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = function(*inputs)
    return tape.gradient(y, list(inputs))


def test_selftest_covers_every_op_dtype_and_direction(device: str) -> None:
    rows = tfwheel_ops.selftest(device)
    assert [row for row in rows if not row["passed"]] == []
    found = {(row["op"], row["dtype"], row["direction"]) for row in rows}
    assert found == {(op, dtype, way) for op in CASES for dtype in DTYPES for way in ("forward", "gradient")}
    assert {row["device"].rpartition("device:")[2] for row in rows} == {device.strip("/")}


@pytest.mark.parametrize("index", [0, 1, 2])
def test_selftest_sees_a_wrong_result(index: int, device: str) -> None:
    case = CASES["swiglu"]

    def off(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(result + (0.1 if i == index else 0.0) for i, result in enumerate(case.reference(*arrays)))

    wrong = _selftest.Case(name="wrong", op=case.op, reference=off, shapes=(((3,), (3,)),))
    passed = {row["direction"]: row["passed"] for row in _selftest.check(wrong, "float32", device)}
    assert passed == {"forward": index != 0, "gradient": index == 0}


@pytest.mark.parametrize("got", [np.array([np.nan]), np.array([1.0, 1.0])])
def test_selftest_counts_nan_and_wrong_shape_as_infinite_error(got: np.ndarray) -> None:
    assert _selftest.error_of(got, np.array([1.0])) == np.inf


@pytest.mark.parametrize("columns", [1, 5, 8, 64])
def test_rms_norm_gradient_agrees_with_finite_differences(columns: int) -> None:
    theory, numbers = tf.test.compute_gradient(
        lambda x, w: tfwheel_ops.rms_norm(x, w, epsilon=0.1), [normal(3, columns), normal(columns, seed=2)], delta=1e-2
    )
    for exact, estimate in zip(theory, numbers, strict=True):
        np.testing.assert_allclose(exact, estimate, atol=5e-3)


@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 8)])
def test_swiglu_gradient_agrees_with_finite_differences(shape: tuple[int, ...]) -> None:
    theory, numbers = tf.test.compute_gradient(tfwheel_ops.swiglu, [normal(*shape), normal(*shape, seed=2)], delta=1e-2)
    for exact, estimate in zip(theory, numbers, strict=True):
        np.testing.assert_allclose(exact, estimate, atol=5e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 63, 1000])
def test_weight_gradient_has_the_same_bits_every_time(dtype: str, rows: int) -> None:
    x, weight = normal(rows, 257, dtype=dtype), normal(257, dtype=dtype, seed=2)
    runs = {gradients(tfwheel_ops.rms_norm, x, weight)[1].numpy().tobytes() for _ in range(5)}
    assert len(runs) == 1


def test_rms_norm_uses_its_epsilon() -> None:
    y = tfwheel_ops.rms_norm(tf.fill([2, 4], 3.0), tf.ones([4]), epsilon=16.0)
    np.testing.assert_allclose(y, np.full([2, 4], 3.0 / 5.0), rtol=1e-6)


def test_rms_norm_of_zeros_is_zeros() -> None:
    np.testing.assert_array_equal(tfwheel_ops.rms_norm(tf.zeros([2, 4]), tf.ones([4])), np.zeros([2, 4]))


def test_rms_norm_of_no_rows_has_a_zero_weight_gradient() -> None:
    dx, dweight = gradients(tfwheel_ops.rms_norm, tf.zeros([0, 4]), tf.ones([4]))
    assert dx.shape == (0, 4)
    np.testing.assert_array_equal(dweight, np.zeros(4))


def test_float16_is_summed_in_float32() -> None:
    x = tf.fill([1, 4096], tf.constant(200.0, "float16"))  # the squares alone overflow float16
    np.testing.assert_allclose(tfwheel_ops.rms_norm(x, tf.ones([4096], "float16")), np.ones([1, 4096]), rtol=1e-3)


def test_swiglu_stays_finite_for_extreme_gates() -> None:
    gate = tf.constant([-1e4, -100.0, 0.0, 100.0, 1e4])
    np.testing.assert_allclose(tfwheel_ops.swiglu(gate, tf.ones([5])), [0.0, 0.0, 0.0, 100.0, 1e4], atol=1e-6)
    dgate, dup = gradients(tfwheel_ops.swiglu, gate, tf.ones([5]))
    np.testing.assert_allclose(dgate, [0.0, 0.0, 0.5, 1.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(dup, [0.0, 0.0, 0.0, 100.0, 1e4], atol=1e-6)


@pytest.mark.parametrize("start", [1, 3])
def test_unaligned_slices_give_the_same_result(start: int) -> None:
    @tf.function
    def sliced(base: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        part = base[start:]
        return tfwheel_ops.rms_norm(part, tf.ones([3])), tfwheel_ops.swiglu(part, part)

    base = normal(9, 3)
    copy = tf.constant(base.numpy()[start:])
    normed, gated = sliced(base)
    np.testing.assert_allclose(normed, tfwheel_ops.rms_norm(copy, tf.ones([3])), rtol=1e-6)
    np.testing.assert_allclose(gated, tfwheel_ops.swiglu(copy, copy), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tfwheel_ops.rms_norm(1.0, tf.ones([1])), "x must have at least 1 axis"),
        (lambda: tfwheel_ops.rms_norm(tf.ones([2, 3]), tf.ones([4])), r"last axis of x, \[3\], but is \[4\]"),
        (lambda: tfwheel_ops.rms_norm(tf.ones([2, 3]), tf.ones([1, 3])), r"\[3\], but is \[1,3\]"),
        (
            lambda: tfwheel_ops.rms_norm(tf.ones([2]), tf.ones([2]), epsilon=-1.0),
            "epsilon must be finite and not negative",
        ),
        (lambda: tfwheel_ops.rms_norm(tf.ones([2]), tf.ones([2]), epsilon=float("nan")), "epsilon must be finite"),
        (lambda: tfwheel_ops.rms_norm(tf.ones([2]), tf.ones([2], "float16")), "float"),
        (
            lambda: tfwheel_ops.rms_norm(tf.ones([2], "float64"), tf.ones([2], "float64")),
            "not in the list of allowed values",
        ),
        (lambda: tfwheel_ops.swiglu(tf.ones([2, 3]), tf.ones([3])), r"gate is \[2,3\] and up is \[3\]"),
        (lambda: tfwheel_ops.swiglu(tf.ones([2], "int32"), tf.ones([2], "int32")), "not in the list of allowed values"),
        (
            lambda: tfwheel_ops.raw_ops.tfwheel_rms_norm_grad(
                dy=tf.ones([3]), x=tf.ones([2]), weight=tf.ones([2]), inv_rms=1.0
            ),
            r"dy must have the shape of x, \[2\], but is \[3\]",
        ),
        (
            lambda: tfwheel_ops.raw_ops.tfwheel_rms_norm_grad(
                dy=tf.ones([2]), x=tf.ones([2]), weight=tf.ones([2]), inv_rms=tf.ones([2])
            ),
            r"inv_rms must have the shape of x without its last axis, \[\], but is \[2\]",
        ),
        (
            lambda: tfwheel_ops.raw_ops.tfwheel_swiglu_grad(dy=tf.ones([3]), gate=tf.ones([2]), up=tf.ones([2])),
            r"gate is \[2\] and dy is \[3\]",
        ),
    ],
)
def test_bad_arguments_are_refused_in_words(call: Callable[[], tf.Tensor], message: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call()


def test_shapes_are_inferred_while_tracing() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, None, 5]), tf.TensorSpec([None])])
    def traced(x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        y = tfwheel_ops.rms_norm(x, weight)
        assert y.shape.as_list() == [None, None, 5]
        z = tfwheel_ops.swiglu(y, tf.ones([2, 3, 5]))
        assert z.shape.as_list() == [2, 3, 5]
        return z

    assert traced(normal(2, 3, 5), tf.ones([5])).shape == (2, 3, 5)


def test_unknown_rank_is_checked_when_it_runs() -> None:
    @tf.function(input_signature=[tf.TensorSpec(None), tf.TensorSpec(None)])
    def traced(x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        return tfwheel_ops.rms_norm(x, weight)

    assert traced(tf.ones([2, 3]), tf.ones([3])).shape == (2, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="last axis of x"):
        traced(tf.ones([2, 3]), tf.ones([4]))


@pytest.mark.parametrize("function", [tfwheel_ops.rms_norm, tfwheel_ops.swiglu])
def test_wrong_shapes_fail_the_trace(function: Callable[..., tf.Tensor]) -> None:
    with pytest.raises(ValueError, match="must be equal"):
        tf.function(function).get_concrete_function(tf.TensorSpec([2, 3]), tf.TensorSpec([4]))


@pytest.mark.parametrize("name", CASES)
def test_a_tf_function_gives_what_eager_gives(name: str) -> None:
    case = CASES[name]
    inputs = [normal(*shape, seed=seed) for seed, shape in enumerate(case.shapes[1])]
    eager = gradients(case.op, *inputs)
    compiled = tf.function(lambda *args: gradients(case.op, *args))(*inputs)
    for one, other in zip(eager, compiled, strict=True):
        np.testing.assert_array_equal(one, other)


def test_results_stay_on_the_device(device: str) -> None:
    assert tfwheel_ops.swiglu(normal(4), normal(4)).device.endswith(device.strip("/"))


class Block(tf.keras.layers.Layer):
    """A feed-forward block of a transformer."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.supports_jit = False  # on a GPU Keras would compile the model with XLA, which knows no custom ops

    def build(self, shape: tuple[int, ...]) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.project = tf.keras.layers.Dense(2 * shape[-1], dtype=self.dtype_policy)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        gate, up = tf.split(self.project(tfwheel_ops.rms_norm(x, self.scale)), 2, axis=-1)
        return x + tfwheel_ops.swiglu(gate, up)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_keras_model_learns(policy: str) -> None:
    tf.keras.utils.set_random_seed(1)
    model = tf.keras.Sequential([tf.keras.Input([8]), Block(dtype=policy), tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.Adam(0.02), "mse", jit_compile="auto")
    x = np.random.default_rng(1).normal(size=(256, 8)).astype("float32")
    history = model.fit(x, np.sin(x).sum(axis=1), epochs=8, batch_size=32, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]
