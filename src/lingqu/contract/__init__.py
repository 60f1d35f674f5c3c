"""What a task promises, in the standard library alone: columns, rows, answers and the task itself."""

from lingqu.contract.answers import JOINT, Answer, LabelScores, LabelSet, NumberValue, Refusal
from lingqu.contract.columns import KINDS, Category, Column, Features, Id, Image, Label, Labels, Number, Text, Time
from lingqu.contract.rows import Rows
from lingqu.contract.task import Front, Memory, Step, Task

__all__ = [
    "JOINT",
    "KINDS",
    "Answer",
    "Category",
    "Column",
    "Features",
    "Front",
    "Id",
    "Image",
    "Label",
    "LabelScores",
    "LabelSet",
    "Labels",
    "Memory",
    "Number",
    "NumberValue",
    "Refusal",
    "Rows",
    "Step",
    "Task",
    "Text",
    "Time",
]
