"""A kernel of the interpreter that is running, whatever kernels are registered on the machine."""

from __future__ import annotations

import sys
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager


class _CurrentInterpreter(KernelSpecManager):  # type: ignore[misc]
    """Knows one kernel: this interpreter."""

    def get_kernel_spec(self, kernel_name: str) -> Any:
        """Specification of the kernel, under any name."""
        return KernelSpec(
            argv=[
                sys.executable,
                "-m",
                "ipykernel_launcher",
                "-f",
                "{connection_file}",
                "--IPKernelApp.log_level=ERROR",
            ],
            display_name="Python",
            language="python",
        )


class CurrentInterpreterKernel(AsyncKernelManager):  # type: ignore[misc]
    """Starts the kernel above."""

    def __init__(self, **options: Any) -> None:
        options["kernel_spec_manager"] = _CurrentInterpreter()
        super().__init__(**options)
