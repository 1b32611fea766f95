"""A host that enforces leases as Kubernetes' controllers do: it starts Jobs, ends them in time, removes dependents."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from kinky.kube.connection import JsonObject, Reply
from tests.unit.fake_api import FakeConnection

JOBS = "/apis/batch/v1/namespaces/ns/jobs"
"""Path of the Jobs in the namespace of most tests."""


class LeaseHost(FakeConnection):
    """Objects by path, with a clock of its own that only `pass_time` moves."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.is_suspending = False
        """Whether something on the host suspends each new Job."""

    def call(self, method: str, path: str, **options: Any) -> Reply:
        reply = super().call(method, path, **options)
        self.clock_ahead = datetime.now(UTC) - self.now
        if (
            method == "POST"
            and path.endswith("/jobs")
            and reply.status == 201
            and "dryRun" not in (options.get("query") or {})
        ):
            self._start(self.objects[f"{path}/{options['body']['metadata']['name']}"])
        if method == "DELETE":
            # The default of a Job is to leave its dependents without an owner.
            if (options.get("body") or {}).get("propagationPolicy") != "Background" and "/jobs/" in path:
                self._orphan(json.loads(reply.body)["metadata"].get("uid"))
            self.collect()
        else:
            self._end()
        return reply

    def pass_time(self, seconds: float) -> None:
        """Let time pass on the host, with nobody else alive."""
        self.now += timedelta(seconds=seconds)
        self._end()

    def jobs(self) -> list[JsonObject]:
        """Return the Jobs that are there."""
        return [self.objects[path] for path in self._find_jobs()]

    def _find_jobs(self) -> list[str]:
        return [path for path in self.objects if path.startswith("/apis/batch/")]

    def left(self, cluster: str) -> set[str]:
        """Return the paths of what has the cluster's label."""
        label = "kinky.dev/cluster"
        return {path for path, body in self.objects.items() if body["metadata"].get("labels", {}).get(label) == cluster}

    def collect(self) -> None:
        """Remove each object whose owners are all gone."""
        uids = {body["metadata"].get("uid") for body in self.objects.values()}
        for path, body in list(self.objects.items()):
            owners = body["metadata"].get("ownerReferences")
            if owners and not any(owner["uid"] in uids for owner in owners):
                del self.objects[path]

    def _orphan(self, uid: str) -> None:
        for body in self.objects.values():
            owners = body["metadata"].pop("ownerReferences", [])
            body["metadata"] |= (
                {"ownerReferences": left} if (left := [each for each in owners if each["uid"] != uid]) else {}
            )

    def _start(self, job: JsonObject) -> None:
        if self.is_suspending:
            job["spec"]["suspend"] = True
            return
        job["status"] = {"startTime": self.now.isoformat().replace("+00:00", "Z")}

    def _end(self) -> None:
        for path in self._find_jobs():
            job = self.objects[path]
            started = (job.get("status") or {}).get("startTime")
            limit = timedelta(seconds=job["spec"]["activeDeadlineSeconds"])
            if started and datetime.fromisoformat(started.replace("Z", "+00:00")) + limit <= self.now:
                del self.objects[path]
        self.collect()
