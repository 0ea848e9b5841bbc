"""What ONNX Runtime says, in words of what to do."""

import re

__all__ = ["explain"]

# What a message says → what it means, with the groups of the former.
_CAUSES = {
    r"Unsupported model IR version: (\d+), max supported IR version: (\d+)": """
        the file has IR version {0}, and the installed ONNX Runtime reads up to {1}:
        pip install -U onnxruntime, or export it with an older onnx""",
    r"Opset (\d+) is under development.*?domain \S* is till opset (\d+)": """
        the file uses opset {0}, and the installed ONNX Runtime knows up to {1}:
        pip install -U onnxruntime, or export it with opset_version={1}""",
    r"No Op registered for (\S+) with domain_version of (\d+)": """
        the installed ONNX Runtime knows no operator {0} (opset {1}): pip install -U onnxruntime,
        or export the model without it""",
    r"Fatal error: (\S+?)(?:\(-?\d+\))? is not a registered function/op": """
        the model uses the operator {0}, which needs a library of its own: export it with
        standard operators""",
    r"Could not find an implementation for (\w+)\(\d+\) node": """
        the operator {0} does not run here with the kind of numbers that the file uses (bfloat16,
        float16 or 8 bits): take the float32 file of the model""",
    r"(?i)protobuf parsing failed": """
        the file is no ONNX model, or only a part of one: download or export it again""",
}


def explain(error: BaseException | str) -> str:
    """Return what an error of ONNX Runtime means and what to do, or its own text."""
    text = str(error)
    for pattern, meaning in _CAUSES.items():
        found = re.search(pattern, text, re.DOTALL)
        if found is not None:
            return " ".join(meaning.split()).format(*found.groups())
    return re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : (/\S+ .*?\) )?", "", text).strip()
