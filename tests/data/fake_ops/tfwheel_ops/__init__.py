"""A stand-in for the custom ops."""


def selftest(device):
    row = {"op": "swiglu", "dtype": "float32", "direction": "forward", "max_error": 0.0, "tolerance": 0.1}
    return [{**row, "device": device, "passed": True}]
