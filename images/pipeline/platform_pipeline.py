"""Runs of MLflow that a step of a pipeline starts: below the run of the pipeline, with the name of the step.

MLflow finds the provider by its entry point, in every process of a step.
"""

from __future__ import annotations

import os


class StepContext:
    """A provider of `mlflow.run_context_provider`; what code sets itself counts more than these tags."""

    def in_context(self) -> bool:
        return "PLATFORM_PIPELINE_RUN" in os.environ

    def tags(self) -> dict[str, str]:
        step = os.environ.get("PLATFORM_PIPELINE_STEP", "")
        return {
            "mlflow.parentRunId": os.environ["PLATFORM_PIPELINE_RUN"],
            "mlflow.runName": step,
            "pipeline.step": step,
        }
