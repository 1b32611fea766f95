"""The cluster and the host of a stack: in Pulumi's state before anything is made, and compared from then on."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from pulumi import dynamic

from kinky.components.live_step import LiveStep, NoOutputs, Step, StepInputs
from kinky.components.properties import Properties, parse
from kinky.errors import HostError
from kinky.kube.access import HostAccess
from kinky.ownership import record
from kinky.reach.reach import Reach


@dataclass(frozen=True, kw_only=True)
class ClusterIdentityOutputs:
    """The identity of the cluster, a random one, and that of its host."""

    host_uid: str
    cluster_id: str


class ClusterIdentityStep(Step[StepInputs, ClusterIdentityOutputs]):
    """Choose the cluster's identity and read the host's; it changes nothing, so it cannot end half done."""

    def _run(self, inputs: StepInputs, previous: ClusterIdentityOutputs | None) -> ClusterIdentityOutputs:
        if previous:
            return previous
        host_uid = inputs.reach.host().fetch_host_uid()
        return ClusterIdentityOutputs(host_uid=host_uid, cluster_id=uuid.uuid4().hex)

    def check(self, _olds: Properties, news: Properties) -> dynamic.CheckResult:
        """Refuse an existing cluster that no state of this stack has made."""
        if not _olds:
            reach = self._read_inputs(news).reach
            found = record.fetch_record(reach.host(), reach.cluster)
            if found is not None and not record.is_taken_over(reach.cluster):
                raise record.describe_conflict(reach.host(), reach.cluster, found)
        return dynamic.CheckResult(news, [])

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> dynamic.DiffResult:
        """Compare the host with the cluster's own host, at each preview and each up.

        Raises:
            HostError: It is another host, or the stack now names another cluster.
        """
        known, wanted = read_identity(_olds), self._read_inputs(_news).access
        for before, after, setting in (
            (known.cluster, wanted.cluster, "cluster.name"),
            (known.namespace, wanted.namespace, "host.namespace"),
        ):
            if before != after:
                raise HostError(
                    f"{setting} = {after}: the stack's cluster was made with {before}; nothing was touched",
                    hint="set it back; or destroy the cluster first, with everything in it",
                )
        _compare_host(replace(wanted, host_uid=known.host_uid, cluster_id=known.cluster_id))
        return super().diff(_id, _olds, _news)

    def read(self, id_: str, props: Properties) -> dynamic.ReadResult:
        """Compare the host at a refresh, which would find none of the cluster's objects on another one.

        Raises:
            HostError: It is another host.
        """
        with self._border("refresh", props):
            Reach(read_identity(props)).host().require_host()
        return dynamic.ReadResult(id_, props)

    def _require_host(self, reach: Reach, *, is_made: bool) -> None:
        """Compare nothing: this step writes and deletes nothing on the host."""


class ClusterIdentity(LiveStep[StepInputs, ClusterIdentityOutputs]):
    """The identity of the cluster, a random one, and that of its host."""

    step = ClusterIdentityStep


class HostGuardStep(Step[StepInputs, NoOutputs]):
    """Check the host before a destroy deletes anything on it; do nothing else."""

    def _run(self, inputs: StepInputs, previous: NoOutputs | None) -> NoOutputs:
        return NoOutputs()


class HostGuard(LiveStep[StepInputs, NoOutputs]):
    """The guard: Pulumi deletes it first, and its check stops a destroy on another host."""

    step = HostGuardStep


def read_identity(properties: Properties) -> HostAccess:
    """Return the cluster and the host of a `ClusterIdentity` in Pulumi's state."""
    made = parse(ClusterIdentityOutputs, properties)
    return replace(parse(StepInputs, properties).access, host_uid=made.host_uid, cluster_id=made.cluster_id)


def _compare_host(access: HostAccess) -> None:
    Reach(access).host().require_host(is_recorded=not record.is_taken_over(access.cluster))
