"""Executors: of the DAGs of the platform, and of those of projects, whose tasks run in pods of the projects.

The name of the bundle decides the project. Nothing of the DAG changes the pod: it has the project's account
`airflow`, the version of the DAGs, and a token with which it may run this one task.

A process keeps the pods, so that the API server of Kubernetes never delays the scheduler. It copies their
logs to the scheduler's folder of logs, which Airflow serves while a task runs, and uploads them at the end.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from typing import Any

from airflow.configuration import conf
from airflow.executors.base_executor import BaseExecutor
from airflow.executors.local_executor import LocalExecutor
from airflow.utils.state import TaskInstanceState
from platform_pods import Adopted, Created, Stopped, Task, keep
from platform_rules import project_of

LOCAL = 4  # tasks of the platform at the same time, about 150 MB each: see docs/adr/
SLOTS = conf.getint("core", "parallelism") - LOCAL


class PlatformLocalExecutor(LocalExecutor):
    """Airflow's LocalExecutor with slots of its own: `core.parallelism` is the sum of all executors."""

    def __init__(self, parallelism: int = LOCAL, team_name: str | None = None) -> None:
        super().__init__(parallelism=LOCAL, team_name=team_name)


class ProjectExecutor(BaseExecutor):
    """Runs tasks as pods, and adopts the pods of a scheduler that has ended."""

    serve_logs = True
    is_local = False

    def __init__(self, parallelism: int = SLOTS, team_name: str | None = None) -> None:
        super().__init__(parallelism=SLOTS, team_name=team_name)
        self._tasks: dict[Any, Task] = {}
        self._keeper: Process | None = None
        self._pipe: Connection | None = None

    def start(self) -> None:
        ours, its = Pipe()
        self._keeper = Process(
            target=keep, args=(its, ours, os.getpid()), name="pods of projects", daemon=True
        )
        self._keeper.start()
        its.close()
        self._pipe = ours

    def _send(self, message: Created | Adopted | Stopped) -> None:
        assert self._pipe, "the scheduler starts its executors first"
        try:
            self._pipe.send(message)
        except OSError:  # the process has died: `sync` starts another, which gets every task
            self.log.warning("the keeper of pods has ended")

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        for workload in workload_items:
            del self.queued_tasks[workload.key]
            project = project_of(workload.bundle_info.name)
            if not project or not workload.bundle_info.version:
                self.fail(workload.key, info=f"bundle {workload.bundle_info.name} is not of a project")
                continue
            task = Task(
                str(workload.ti.id),
                project,
                workload.log_path or "",
                workload.bundle_info.version,
                workload.key,
            )
            self.running.add(workload.key)
            self._tasks[workload.key] = task
            self._send(Created(task, workload.model_dump_json()))

    def sync(self) -> None:
        if not self._keeper or not self._keeper.is_alive():
            self.log.error("the keeper of pods died; starting it again")
            self.start()
            for task in self._tasks.values():
                self._send(Adopted(task))
        assert self._pipe
        try:
            while self._pipe.poll():
                task, state, why = self._pipe.recv()
                if self._tasks.pop(task.key, None):
                    self.change_state(task.key, TaskInstanceState(state), why)
        except EOFError:
            self.log.warning("the keeper of pods has ended")

    def revoke_task(self, *, ti: Any) -> None:
        self.queued_tasks.pop(ti.key, None)
        self.running.discard(ti.key)
        if task := self._tasks.pop(ti.key, None):
            self._send(Stopped(task))

    def try_adopt_task_instances(self, tis: Sequence[Any]) -> Sequence[Any]:
        """Take over the pods of another scheduler. A pod that is gone is reported as failed later."""
        from airflow.utils.helpers import log_filename_template_renderer

        left = []
        for ti in tis:
            project = project_of(ti.dag_model.bundle_name)
            if not project or ti.dag_run is None:
                left.append(ti)
                continue
            path = log_filename_template_renderer()(ti=ti)
            task = Task(str(ti.id), project, path, ti.dag_run.bundle_version or "", ti.key)
            self.running.add(ti.key)
            self._tasks[ti.key] = replace(task)
            self._send(Adopted(task))
        return left

    def send_callback(self, request: Any) -> None:
        """Drop callbacks: they would run in the DAG processor, which does not read files of projects."""

    def end(self) -> None:
        """Leave the pods: the next scheduler adopts them."""
        self.terminate()

    def terminate(self) -> None:
        if self._keeper:
            self._keeper.terminate()
