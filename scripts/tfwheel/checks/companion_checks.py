"""Check inside a user's environment that one project that builds on TensorFlow does its work beside the installed one.

Imports the standard library and what it checks, in the syntax of Python 3.9. Writes one JSON object to ``--json`` and
exits with 1 if the check failed. Prints the check before it starts, so that a crash can be attributed. Nothing is
downloaded; files go into the current folder.
"""
# ruff: noqa: T201, S101, BLE001 -- a program of its own: it prints, asserts, and reports whatever a check raises

from __future__ import annotations

import argparse
import faulthandler
import importlib
import importlib.metadata
import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(words: list[str] | None = None) -> int:
    """Run the check that the arguments name; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", required=True, choices=sorted(CHECKS), help="what to do")
    parser.add_argument("--tensorflow", required=True, help="the version that the distribution tensorflow must have")
    parser.add_argument("--timeout", type=float, default=600, help="seconds until it prints all stacks and ends")
    parser.add_argument("--json", type=Path, required=True, help="where the report goes")
    arguments = parser.parse_args(words)
    faulthandler.dump_traceback_later(arguments.timeout, exit=True)
    print(f"check {arguments.check} ...", flush=True)
    report: dict[str, Any] = {"passed": True, "reason": None}
    try:
        installed = importlib.metadata.version("tensorflow")
        assert installed == arguments.tensorflow, f"tensorflow is {installed}, not {arguments.tensorflow}"
        CHECKS[arguments.check]()
    except BaseException as error:  # SystemExit, too: what ends the process has not done its work
        first = (str(error).splitlines() or [""])[0].replace(sys.prefix, "<prefix>")
        report = {"passed": False, "reason": f"{type(error).__name__}: {first}"}
    faulthandler.cancel_dump_traceback_later()
    arguments.json.write_text(json.dumps(report) + "\n", encoding="utf-8")
    print("passed" if report["passed"] else f"failed: {report['reason']}")
    return 0 if report["passed"] else 1


def _import(name: str) -> Any:  # noqa: ANN401 -- what is checked has no types here
    return importlib.import_module(name)


def _assert_close(found: Sequence[float], expected: Sequence[float], tolerance: float = 1e-5) -> None:
    """Raise AssertionError unless the numbers are the expected ones, up to an absolute difference."""
    same = len(found) == len(expected) and all(
        math.isclose(one, other, rel_tol=0, abs_tol=tolerance)
        for one, other in zip(found, expected)  # noqa: B905 -- 3.9
    )
    assert same, f"{list(found)} instead of {list(expected)}"


def tensorflow_text() -> None:
    """Split a sentence into words with an op of its own library, and normalize one with another."""
    text = _import("tensorflow_text")
    words = text.UnicodeScriptTokenizer().tokenize(["A custom op, loaded"]).to_list()
    assert words == [[b"A", b"custom", b"op", b",", b"loaded"]], f"its words are {words}"
    folded = text.case_fold_utf8(["GROẞ"]).numpy().tolist()
    assert folded == [b"gross"], f"folded to {folded}"


def tf_keras() -> None:
    """Fit the line y = 2x + 1 with Keras 2."""
    np, keras = _import("numpy"), _import("tf_keras")
    x = np.linspace(-1, 1, 64, dtype="float32").reshape(-1, 1)
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(1,))])
    model.compile(optimizer=keras.optimizers.SGD(0.2), loss="mse")
    model.fit(x, 2 * x + 1, epochs=40, verbose=0)
    _assert_close([float(weight.reshape(-1)[0]) for weight in model.get_weights()], [2, 1], 0.01)


def tensorflow_io_gcs_filesystem() -> None:
    """Let TensorFlow load its plugin for gs:// in place of TensorFlow's own file system, which is there without it."""
    os.environ["TF_USE_MODULAR_FILESYSTEM"] = "1"  # read by `import tensorflow`, which then imports the project
    tf = _import("tensorflow")
    library = "libtensorflow_io_gcs_filesystem.so"
    assert library in Path("/proc/self/maps").read_text(encoding="utf-8"), f"{library} is not loaded"
    schemes = tf.io.gfile.get_registered_schemes()
    assert "gs" in schemes, f"TensorFlow knows {schemes}"


def tensorflow_probability() -> None:
    """Compute a log density, and the mean of many samples."""
    tfp = _import("tensorflow_probability")
    normal = tfp.distributions.Normal(loc=3.0, scale=2.0)
    _assert_close([float(normal.log_prob(3.0))], [-math.log(2 * math.sqrt(2 * math.pi))])
    _assert_close([float(normal.sample(10_000, seed=(1, 2)).numpy().mean())], [3], 0.1)


def tensorflow_recommenders() -> None:
    """Find the nearest of three candidates with a retrieval layer, and compute the loss of a retrieval task."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # it is written for Keras 2
    tf = _import("tensorflow")
    tfrs = _import("tensorflow_recommenders")
    candidates = tf.constant([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    layer = tfrs.layers.factorized_top_k.BruteForce(k=2)
    layer.index(candidates, tf.constant(["a", "b", "c"]))
    scores, names = layer(tf.constant([[0.6, 0.8]]))
    assert names.numpy().tolist() == [[b"b", b"a"]], f"it found {names.numpy().tolist()}"
    _assert_close(scores.numpy()[0].tolist(), [0.8, 0.6])
    loss = tfrs.tasks.Retrieval()(tf.eye(2), tf.eye(2))
    _assert_close([float(loss)], [2 * math.log(1 + math.exp(-1))])


def ydf_tf() -> None:
    """Train a forest with YDF, and compare its predictions with those that its op computes in TensorFlow."""
    np, tf, ydf = _import("numpy"), _import("tensorflow"), _import("ydf")
    x = np.arange(64, dtype="float32")
    data = {"x": x, "y": x * x}
    model = ydf.GradientBoostedTreesLearner(label="y", task=ydf.Task.REGRESSION, num_trees=20).train(data, verbose=0)
    found = model.to_tensorflow_function()({"x": tf.constant(x)}).numpy()
    _assert_close(found.reshape(-1).tolist(), model.predict({"x": x}).tolist(), 0.01)
    assert found.max() > found.min(), "it predicts the same for everything"


def tensorflow_serving_api() -> None:
    """Build a PredictRequest, and read it back from its bytes."""
    tf = _import("tensorflow")
    predict_pb2 = _import("tensorflow_serving.apis.predict_pb2")
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "double"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.5]))
    again = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert again.model_spec.name == "double", f"its model is {again.model_spec.name!r}"
    _assert_close(tf.make_ndarray(again.inputs["x"]).tolist(), [1, 2.5])


def tensorflow_hub() -> None:
    """Load a saved model from a folder, and call it."""
    tf = _import("tensorflow")
    hub = _import("tensorflow_hub")
    double = tf.Module()
    double.__call__ = tf.function(lambda values: 2 * values, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(double, "saved")
    _assert_close(hub.load("saved")(tf.constant([1.0, 2.5])).numpy().tolist(), [2, 5])


def tensorflow_datasets() -> None:
    """Write an example with its features, and let TensorFlow's parser read it."""
    tfds = _import("tensorflow_datasets.public_api")  # the package itself hides what it cannot import
    np = _import("numpy")
    features = tfds.features.FeaturesDict(
        {
            "label": tfds.features.ClassLabel(names=["no", "yes"]),
            "x": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        }
    )
    written = features.serialize_example(features.encode_example({"label": "yes", "x": [1.0, 2.5]}))
    read = features.deserialize_example(written)
    _assert_close([float(read["label"]), *read["x"].numpy().tolist()], [1, 1, 2.5])


# By the name that `check` of companions.toml gives.
CHECKS: dict[str, Callable[[], None]] = {
    "tensorflow-text": tensorflow_text,
    "tf-keras": tf_keras,
    "tensorflow-io-gcs-filesystem": tensorflow_io_gcs_filesystem,
    "tensorflow-probability": tensorflow_probability,
    "tensorflow-recommenders": tensorflow_recommenders,
    "ydf-tf": ydf_tf,
    "tensorflow-serving-api": tensorflow_serving_api,
    "tensorflow-hub": tensorflow_hub,
    "tensorflow-datasets": tensorflow_datasets,
}

if __name__ == "__main__":
    sys.exit(main())
