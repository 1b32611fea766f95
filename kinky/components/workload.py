"""The small web application that shows the cluster at work, and the proof that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from kinky.components.bodies import declare_all
from kinky.components.steps.workload import WorkloadAnswered, WorkloadAnsweredInputs
from kinky.config.model import KinkyConfig
from kinky.kube.access import HostAccess
from kinky.manifests import store_values, workload

ANSWER_LIMIT_SECONDS = 600.0
"""Scheduling, the secret's first sync and the pod's start took under three minutes in emulation."""


@dataclass(frozen=True, kw_only=True)
class WorkloadArgs:
    """Arguments of the workload."""

    config: KinkyConfig
    access: HostAccess
    store: Mapping[str, Any]
    server: str
    """URL of the inner API."""


class Workload(pulumi.ComponentResource):
    """A Deployment behind a NodePort, with a secret from the store."""

    answered: WorkloadAnswered

    def __init__(self, name: str, args: WorkloadArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the workload and ask it."""
        super().__init__("kinky:inner:Workload", name, None, opts)
        # Nothing is awaited here: the answer from outside is the proof, and tells more when it does not come.
        resources = declare_all(self, workload.build_workload(args.config), prefix=name)
        inputs = WorkloadAnsweredInputs(
            access=args.access,
            server=args.server,
            store=args.store,
            greeting=args.config.workload.greeting,
            value=store_values.WORKLOAD_VALUE,
            key=store_values.WORKLOAD_KEY,
            limit_seconds=args.config.timeouts.seconds(ANSWER_LIMIT_SECONDS),
        )
        # The step asks the Service; no value of the objects flows into it.
        after = pulumi.ResourceOptions(parent=self, depends_on=list(resources))
        self.answered = WorkloadAnswered(f"{args.config.cluster.name}-workload-answered", inputs, after)
        self.register_outputs({})
