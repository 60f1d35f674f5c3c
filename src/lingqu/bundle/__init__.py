"""The portable model: one folder that predicts with ONNX Runtime, NumPy and a tokenizer.

`read` is what serving needs and imports nothing of training; `write` makes bundles and proves them.
"""
