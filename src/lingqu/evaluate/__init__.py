"""What a version is worth: the report of its bundle on held-out rows, the gate, and the pages that show both."""

from lingqu.evaluate.gate import Check, Decision, decide
from lingqu.evaluate.report import evaluate
from lingqu.evaluate.slices import slice_columns

__all__ = ["Check", "Decision", "decide", "evaluate", "slice_columns"]
