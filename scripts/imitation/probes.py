"""Checks in an environment of a user that packages around TensorFlow do their work: one of them, named by its argument.

A program of its own, for the environment's Python: it imports the standard library and what it checks, nothing of the
factory, and writes into the current folder alone. It prints one line of JSON, the result in words, or what the package
raised. Results are the same in each run.
"""
# ruff: noqa: T201, BLE001, ANN401, S101 -- it prints, reports whatever is raised, has no types, asserts

from __future__ import annotations

import faulthandler
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 600


def main(words: list[str]) -> int:
    """Run the check of a distribution; return 0 also for one that fails, since the answer tells it."""
    (name,) = words
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    check = CHECKS.get(name)
    try:
        said = check() if check else f"imports {module(IMPORTS.get(name, name)).__name__}"
        answer = {"works": True, "said": said}
    except BaseException as error:
        first = (str(error).splitlines() or [""])[0].replace(str(Path(sys.prefix)), "<prefix>")
        answer = {"works": False, "said": f"{type(error).__name__}: {first}"}
    print(json.dumps(answer))
    return 0


def module(name: str) -> Any:
    """Import a module by its full name."""
    return importlib.import_module(name)


def tensorflow() -> str:
    """Multiply two matrices, and train a Keras model for a step."""
    np = module("numpy")
    tf = module("tensorflow")

    product = float(tf.reduce_sum(tf.matmul(tf.ones((3, 4)), tf.ones((4, 2)))))
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer="sgd", loss="mse")
    losses = model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=2, verbose=0).history["loss"]
    return f"{tf.__version__}: sum {product:g}, losses {losses[0]:.4g} and {losses[1]:.4g}"


def tensorflow_text() -> str:
    """Split words with an op of its library, which is linked against TensorFlow."""
    text = module("tensorflow_text")

    words = text.UnicodeScriptTokenizer().tokenize(["a custom op, loaded"]).to_list()
    return " ".join(word.decode() for word in words[0])


def tf_keras() -> str:
    """Train a model of Keras 2 for two steps."""
    np = module("numpy")
    keras = module("tf_keras")

    model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones", input_shape=(2,))])
    model.compile(optimizer="sgd", loss="mse")
    losses = model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=2, verbose=0).history["loss"]
    return f"losses {losses[0]:.4g} and {losses[1]:.4g}"


def tensorflow_probability() -> str:
    """Compute a density and draw a sample with a seed."""
    tfp = module("tensorflow_probability")

    normal = tfp.distributions.Normal(0.0, 1.0)
    return f"density {float(normal.prob(0.0)):.4f}, sample {float(normal.sample(seed=(1, 2))):.4f}"


def tensorflow_hub() -> str:
    """Load a saved model as a layer, without a download."""
    tf = module("tensorflow")
    hub = module("tensorflow_hub")

    double = tf.Module()
    double.__call__ = tf.function(lambda values: 2 * values, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(double, "saved")
    return str(hub.load("saved")(tf.constant([1.0, 2.5])).numpy().tolist())


def ydf_tf() -> str:
    """Load its op library, which asks for exactly one TensorFlow."""
    package = module("ydf_tf")

    return f"imports {package.__name__} {getattr(package, '__version__', '')}".strip()


def tensorflow_datasets() -> str:
    """Describe features and encode an example, without a download."""
    tfds = module("tensorflow_datasets.public_api")  # the package itself hides what it cannot import

    features = tfds.features.FeaturesDict({"label": tfds.features.ClassLabel(num_classes=3)})
    return str(features.encode_example({"label": 2}))


def tensorflow_metadata() -> str:
    """Import its generated code, which asks for a version of protobuf."""
    schema_pb2 = module("tensorflow_metadata.proto.v0.schema_pb2")

    return f"imports {schema_pb2.DESCRIPTOR.name}"


def google_ai_generativelanguage() -> str:
    """Make a message of its generated code."""
    generativelanguage = module("google.ai.generativelanguage")

    return str(generativelanguage.Content(role="user").role)


def tfwheel_ops() -> str:
    """Compare each custom op, forward and gradient, with its reference in float64."""
    tf = module("tensorflow")
    ops = module("tfwheel_ops")

    results = ops.selftest("/CPU:0")
    failed = [f"{one['op']} {one['dtype']} {one['direction']}" for one in results if not one["passed"]]
    assert not failed, ", ".join(failed)
    return f"{tf.version.BUILD_LABEL}: {len(results)} comparisons with float64 hold"


# By the name of the distribution, normalized; those without a check are imported.
CHECKS: dict[str, Callable[[], str]] = {
    "tensorflow": tensorflow,
    "tensorflow-text": tensorflow_text,
    "tf-keras": tf_keras,
    "tensorflow-probability": tensorflow_probability,
    "tensorflow-hub": tensorflow_hub,
    "ydf-tf": ydf_tf,
    "tensorflow-datasets": tensorflow_datasets,
    "tensorflow-metadata": tensorflow_metadata,
    "google-ai-generativelanguage": google_ai_generativelanguage,
    "tfwheel-ops": tfwheel_ops,
}
IMPORTS = {
    "grpcio-status": "grpc_status.rpc_status",
    "google-generativeai": "google.generativeai",
    "keras-hub": "keras_hub",
    "tf-slim": "tf_slim",
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
