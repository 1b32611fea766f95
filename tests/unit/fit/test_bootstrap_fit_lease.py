"""Fit and the lease: the rights, the host's own refusal, and a cluster that cannot get or lose a lease."""

from __future__ import annotations

import pytest

from kinky.fit.rights import build_rights
from kinky.kube import resources
from tests.unit.cluster_records import record_data
from tests.unit.fake_api import FakeConnection
from tests.unit.fit.objects import LABELS
from tests.unit.fitting_host import fits, make_config, refuse

JOBS = "/apis/batch/v1/namespaces/ns/jobs"
RECORDS = "/api/v1/namespaces/ns/configmaps"
LEASED = make_config(cluster={"name": "dev", "lease": {"ttl": "2h"}})
PLAIN = make_config()


def test_a_lease_is_tried_and_not_made(host: FakeConnection) -> None:
    fits(LEASED)
    assert ("POST", JOBS) in host.calls
    assert not [path for path in host.objects if path.startswith(JOBS)]
    host.calls.clear()
    fits(PLAIN)
    assert not [path for _, path in host.calls if path == JOBS]


def test_rights_on_jobs_are_asked_for_a_lease_only(host: FakeConnection) -> None:
    asked = {verb for need, verb in build_rights(LEASED) if need.resource == resources.JOBS}
    assert asked == {"get", "list", "create", "patch", "delete"}
    assert not [need for need, _ in build_rights(PLAIN) if need.resource == resources.JOBS]
    host.denied = {("create", "jobs"), ("patch", "jobs")}
    told = refuse(LEASED)
    assert "namespace ns: no right to create, patch jobs.batch" in told
    fits(PLAIN)


def test_a_host_that_refuses_the_job_is_told_as_that(host: FakeConnection) -> None:
    status = {"kind": "Status", "reason": "Forbidden", "message": "exceeded quota: q, count/jobs.batch=1"}
    host.answer("POST", JOBS, status, status=403)
    told = refuse(LEASED)
    assert "the host refuses the Job that is the lease" in told
    assert "count/jobs.batch" in told


@pytest.mark.parametrize("has_lease", [True, False])
def test_an_existing_cluster_cannot_get_or_lose_a_lease(host: FakeConnection, has_lease: bool) -> None:
    owners = [{"apiVersion": "batch/v1", "kind": "Job", "name": "dev-lease", "uid": "u"}] if has_lease else []
    metadata = {"labels": LABELS, "ownerReferences": owners}
    host.add(RECORDS, "dev-record", metadata=metadata, data=record_data(stack="me"))
    config, told = (PLAIN, "cannot lose it") if has_lease else (LEASED, "cannot get one")
    assert told in refuse(config)
    fits(LEASED if has_lease else PLAIN)
