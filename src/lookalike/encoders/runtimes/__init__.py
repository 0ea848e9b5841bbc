"""Runtimes: what opens an ONNX model and runs it, on a device."""
