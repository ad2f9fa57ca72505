"""The import of openvino, for all modules that need it.

It reports to its vendor, unless the package for that cannot be imported: then it uses its own stub.
A worker does not call anybody.
"""

from __future__ import annotations

import sys

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # how Python blocks an import
import openvino  # noqa: E402 - after the line above
import openvino.opset13  # noqa: E402
import openvino.passes  # noqa: E402

__all__ = ["openvino"]
