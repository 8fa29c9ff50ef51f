"""Compute hundreds of op x dtype pairs, forward and gradient, on one device; or compare what two runs computed.

    opsweep.py run --device GPU:0 --out results.npz [--only add,cast]
    opsweep.py compare official.npz retargeted.npz [--exact]

Runs in an environment with TensorFlow. A pair that TensorFlow has no kernel for is noted as such, and must be so in
both runs. Prints a JSON object; exit code 1 where the two differ, or where fewer than 200 pairs were computed.
"""
# ruff: noqa: T201, BLE001, SIM905 -- a program of its own: it prints, notes whatever an op raises, and lists words

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
COMPLEX = ("complex64", "complex128")
EVERY_OP = (
    "abs negative square sqrt rsqrt exp expm1 log log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
    "sigmoid sign ceil floor round rint erf erfc lgamma digamma reciprocal softplus cumsum cumprod "
    "reduce_sum reduce_mean reduce_max reduce_min reduce_prod reduce_logsumexp"
).split()
NN_OPS = "relu relu6 elu selu gelu leaky_relu softsign softmax log_softmax silu l2_loss".split()
BINARY = (
    "add subtract multiply divide maximum minimum pow atan2 floordiv floormod squared_difference xlogy xdivy xlog1py "
    "divide_no_nan multiply_no_nan less less_equal greater equal not_equal"
).split()
INTEGER_OPS = "abs negative square sign add subtract multiply maximum minimum floordiv floormod less equal".split()
BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift")
COMPLEX_OPS = "square exp log sin cos tanh add subtract multiply divide abs real imag conj angle".split()
SHAPE = (7, 33)
ENOUGH = 200
ULPS = 4  # on a GPU another ptxas may contract or order what the last bits depend on
SEED = 11


def cases(tf):
    """Every pair: name, dtype, what computes it, its inputs as numpy arrays, and whether it has a gradient."""
    for dtype in FLOATS:
        yield from float_cases(tf, dtype)
    for dtype in INTEGERS:
        yield from integer_cases(tf, dtype)
    for dtype in COMPLEX:
        for name in COMPLEX_OPS:
            inputs = (numbers(dtype), numbers(dtype, other=True))
            yield name, dtype, function(tf, name), inputs[: 2 if name in BINARY else 1], False
    for source in (*FLOATS, *INTEGERS, "bool"):
        for target in (*FLOATS, *INTEGERS, "bool"):
            if source != target:
                yield f"cast to {target}", source, lambda x, to=target: tf.cast(x, to), (numbers(source),), False


def float_cases(tf, dtype):
    """Ops with a gradient."""
    for name in EVERY_OP + NN_OPS:
        yield name, dtype, function(tf, name), (numbers(dtype, name),), True
    for name in BINARY:
        yield name, dtype, function(tf, name), (numbers(dtype, name), numbers(dtype, name, other=True)), True
    yield "matmul", dtype, tf.matmul, (numbers(dtype), numbers(dtype).T.copy()), True
    yield "transpose", dtype, tf.transpose, (numbers(dtype),), True
    yield "where", dtype, lambda x, y: tf.where(x > y, x, y), (numbers(dtype), numbers(dtype, other=True)), True
    yield "clip", dtype, lambda x: tf.clip_by_value(x, 0.25, 0.75), (numbers(dtype),), True


def integer_cases(tf, dtype):
    """Arithmetic and bits; the second input of a shift stays below 7."""
    for name in INTEGER_OPS:
        inputs = (numbers(dtype), numbers(dtype, other=True))
        yield name, dtype, function(tf, name), inputs[: 2 if name in BINARY else 1], False
    for name in BITWISE:
        inputs = (numbers(dtype), numbers(dtype, other=True) % np.array(7).astype(dtype))
        yield name, dtype, getattr(tf.bitwise, name), inputs[: 1 if name == "invert" else 2], False


def function(tf, name):
    """The op of that name, wherever TensorFlow has it."""
    for place in (tf, tf.math, tf.nn):
        if hasattr(place, name):
            return getattr(place, name)
    return getattr(tf.raw_ops, name)


def numbers(dtype, op="", *, other=False):
    """The same inputs in every run: inside the domain of most ops, without zeros; small for integers."""
    values = np.random.default_rng(SEED + other).uniform(0.1, 0.9, SHAPE)
    if op == "acosh":
        values += 1
    if dtype == "bool":
        return values > 0.5
    if dtype in COMPLEX:
        return (values + 1j * values[::-1]).astype(dtype)
    if dtype in INTEGERS:
        return (values * 50 + 1).astype(dtype)
    return values.astype("float32") if dtype == "bfloat16" else values.astype(dtype)


def compute(tf, device, only):
    """Results by name: an array, or the kind of error as text."""
    tf.config.set_soft_device_placement(False)
    for name, dtype, op, inputs, has_gradient in cases(tf):
        if only and name.split()[0] not in only:
            continue
        try:
            with tf.device("/" + device):
                tensors = [tf.constant(each, dtype=dtype if dtype == "bfloat16" else None) for each in inputs]
                yield f"{name}|{dtype}|forward", array(tf, op(*tensors))
                if has_gradient:
                    with tf.GradientTape() as tape:
                        tape.watch(tensors)
                        result = tf.reduce_sum(op(*tensors))
                    for number, slope in enumerate(tape.gradient(result, tensors)):
                        if slope is not None:
                            yield f"{name}|{dtype}|gradient {number}", array(tf, slope)
        except Exception as error:
            yield f"{name}|{dtype}|error", np.array(type(error).__name__)


def array(tf, tensor):
    """A result as numpy can keep it: bfloat16 as float32, which holds it exactly."""
    return (tf.cast(tensor, "float32") if tensor.dtype == tf.bfloat16 else tensor).numpy()


def pairs_of(names):
    """The pairs that were computed in full: no part of them ended in an error."""
    failed = {name.rpartition("|")[0] for name in names if name.endswith("|error")}
    return {name.rpartition("|")[0] for name in names} - failed


def run(arguments):
    """Compute everything on the device and keep it."""
    import tensorflow as tf  # noqa: PLC0415 -- comparing needs none

    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    found = dict(compute(tf, arguments.device, set(filter(None, arguments.only.split(",")))))
    np.savez(arguments.out, **found)
    errors = {name: str(value) for name, value in found.items() if name.endswith("|error")}
    fatal = {name: kind for name, kind in errors.items() if kind not in {"NotFoundError", "InvalidArgumentError"}}
    pairs = pairs_of(found)
    gradients = sum("|gradient" in name for name in found)
    facts = {"tensorflow": tf.__version__, "device": arguments.device, "pairs": len(pairs), "gradients": gradients}
    print(json.dumps(facts | {"without a kernel": len(errors) - len(fatal), "failed": fatal}, indent=1))
    return 0 if (len(pairs) >= ENOUGH or arguments.only) and not fatal else 1


def compare(arguments):
    """Hold one run against another, bit by bit, or within a few units in the last place."""
    left, right = np.load(arguments.left), np.load(arguments.right)
    differing, equal = {}, 0
    for name in sorted({*left.files, *right.files}):
        if name not in left.files or name not in right.files:
            differing[name] = "in one run only"
            continue
        one, other = left[name], right[name]
        if one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes():
            equal += 1
        elif arguments.exact or not close(one, other, name):
            differing[name] = "differs"
    pairs = pairs_of(left.files)
    print(
        json.dumps(
            {"pairs": len(pairs), "results": len(left.files), "equal to the bit": equal, "differ": differing}, indent=1
        )
    )
    return 0 if not differing and len(pairs) >= arguments.least else 1


def close(one, other, name):
    """Whether two results are within ULPS of their type, NaN and infinity at the same places."""
    if one.shape != other.shape or one.dtype != other.dtype or one.dtype.kind not in "fc":
        return False
    precision = {"float16": 2**-10, "bfloat16": 2**-7}.get(name.split("|")[1], np.finfo(one.dtype).eps)
    return bool(np.allclose(one, other, rtol=ULPS * precision, atol=ULPS * precision, equal_nan=True))


def main():
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    running = parts.add_parser("run")
    running.add_argument("--device", default="GPU:0")
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--only", default="", help="ops, by comma")
    running.set_defaults(work=run)
    comparing = parts.add_parser("compare")
    comparing.add_argument("left", type=Path)
    comparing.add_argument("right", type=Path)
    comparing.add_argument("--exact", action="store_true")
    comparing.add_argument("--least", type=int, default=ENOUGH, help="pairs that must have been computed")
    comparing.set_defaults(work=compare)
    arguments = parser.parse_args()
    return arguments.work(arguments)


if __name__ == "__main__":
    sys.exit(main())
