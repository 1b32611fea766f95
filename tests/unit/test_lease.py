"""The lease: made before all else, the owner of each object, renewed by the host's clock, and the end of everything."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from kinky import names
from kinky.components.properties import Properties, describe
from kinky.components.steps.record import ClusterRecordInputs, ClusterRecordStep, LeaseTerms
from kinky.errors import HostError, WaitError
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.kube.objects import build_secret
from kinky.ownership import lease, lease_holder
from kinky.ownership.record import ensure_record, fetch_record
from kinky.ownership.record_format import ClusterRecord
from tests.unit.fake_api import FakeClock
from tests.unit.fake_lease import LeaseHost

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="t-1", host_uid="h", cluster_id="c")
STACK = "organization/kinky/t-1"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> LeaseHost:
    made = LeaseHost()
    made.add("/api/v1/namespaces", names.NAMESPACE_SYSTEM, metadata={"uid": "h"})
    monkeypatch.setattr("kinky.kube.host.open_host", lambda _access: made)
    return made


def make_cluster(seconds: int = 7200) -> HostApi:
    api = HostApi.connect(ACCESS)
    ensure_record(api, STACK, {}, owners=lease.ensure_lease(api, seconds=seconds, stack=STACK, holder="ada"))
    return api


def secret(name: str) -> dict[str, object]:
    return build_secret(name, {"key": b"value"}, labels=names.cluster_labels("t-1"))


def test_the_job_makes_no_pod_and_says_whose_it_is(host: LeaseHost) -> None:
    make_cluster()
    (job,) = host.jobs()
    spec = job["spec"]
    assert (spec["parallelism"], spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (0, 7200, 0)
    assert spec["ttlSecondsAfterFinished"] <= 10
    assert job["metadata"]["name"] == "t-1-lease"
    assert job["metadata"]["annotations"] == {
        "kinky.dev/stack": STACK,
        "kinky.dev/holder": "ada",
        "kinky.dev/ttl-seconds": "7200",
    }


def test_every_object_that_is_written_on_the_host_names_the_lease_as_its_owner(host: LeaseHost) -> None:
    api = make_cluster()
    assert api.create(resources.SECRETS, secret("t-1-a"), namespace="ns")
    api.put(resources.SECRETS, secret("t-1-b"), namespace="ns")
    api.put(resources.SECRETS, secret("t-1-b"), namespace="ns")
    api.apply(resources.CONFIG_MAPS, {"metadata": {"name": "t-1-c"}}, namespace="ns")
    uid = host.jobs()[0]["metadata"]["uid"]
    owned = [body for path, body in host.objects.items() if "/namespaces/ns/" in path and "/jobs/" not in path]
    assert len(owned) == 4, "the record, and three more"
    for body in owned:
        assert body["metadata"]["ownerReferences"] == [
            {"apiVersion": "batch/v1", "kind": "Job", "name": "t-1-lease", "uid": uid}
        ]


def test_a_cluster_without_a_lease_has_no_owner(host: LeaseHost) -> None:
    api = HostApi.connect(ACCESS)
    ensure_record(api, STACK, {})
    api.create(resources.SECRETS, secret("t-1-a"), namespace="ns")
    assert not any("ownerReferences" in body["metadata"] for body in host.objects.values())


def test_when_nobody_renews_it_the_host_removes_everything_by_itself(host: LeaseHost) -> None:
    make_cluster(seconds=300).create(resources.SECRETS, secret("t-1-a"), namespace="ns")
    host.pass_time(299)
    assert len(host.left("t-1")) == 3
    assert not lease.has_ended(HostApi.connect(ACCESS))
    host.pass_time(1)
    assert host.left("t-1") == set()
    assert lease.has_ended(HostApi.connect(ACCESS))


def test_over_three_lives_a_renewed_lease_stays(host: LeaseHost) -> None:
    make_cluster(seconds=300)
    for _ in range(9):
        host.pass_time(100)
        renewed = lease.renew_lease(HostApi.connect(ACCESS))
        assert renewed.ends_at is not None
        assert timedelta(seconds=299) <= renewed.ends_at - host.now <= timedelta(seconds=302)
    assert host.left("t-1")


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_wrong_clock_of_this_machine_does_not_matter(host: LeaseHost, hours: int) -> None:
    host.now += timedelta(hours=hours)
    make_cluster(seconds=600)
    host.pass_time(60)
    renewed = lease.renew_lease(HostApi.connect(ACCESS))
    assert renewed.ends_at is not None
    assert timedelta(seconds=599) <= renewed.ends_at - host.now <= timedelta(seconds=602)


def test_only_a_person_shortens_a_lease(host: LeaseHost) -> None:
    make_cluster(seconds=7200)
    assert lease.renew_lease(HostApi.connect(ACCESS), seconds=300).deadline_seconds == 7200
    assert lease.renew_lease(HostApi.connect(ACCESS), seconds=300, may_shorten=True).deadline_seconds < 310


def test_a_lease_that_has_ended_is_not_renewed(host: LeaseHost) -> None:
    make_cluster(seconds=300)
    host.pass_time(301)
    with pytest.raises(HostError, match="its lease has ended"):
        lease.renew_lease(HostApi.connect(ACCESS))


def test_the_end_by_hand_removes_everything(host: LeaseHost) -> None:
    make_cluster().create(resources.SECRETS, secret("t-1-a"), namespace="ns")
    assert lease.end_lease(HostApi.connect(ACCESS))
    lease.wait_removed(HostApi.connect(ACCESS))
    assert host.left("t-1") == set()
    assert not lease.end_lease(HostApi.connect(ACCESS)), "it is gone already"


def test_what_does_not_go_is_named(host: LeaseHost, clock: FakeClock) -> None:
    make_cluster()
    labels = names.cluster_labels("t-1")
    host.add("/api/v1/namespaces/ns/persistentvolumeclaims", "t-1-etcd", metadata={"labels": labels})
    lease.end_lease(HostApi.connect(ACCESS))
    with pytest.raises(WaitError, match="PersistentVolumeClaim/t-1-etcd"):
        lease.wait_removed(HostApi.connect(ACCESS))


def test_leases_of_a_namespace_are_listed_from_any_machine(host: LeaseHost) -> None:
    make_cluster()
    other = replace(ACCESS, cluster="t-2", cluster_id="d")
    lease.ensure_lease(HostApi.connect(other), seconds=300, stack="organization/kinky/t-2", holder="")
    host.add("/apis/batch/v1/namespaces/ns/jobs", "of-somebody", spec={"activeDeadlineSeconds": 9000})
    listed = lease.fetch_leases(HostApi.connect(replace(ACCESS, cluster="any", cluster_id="")))
    assert [(each.cluster, each.holder, each.seconds) for each in listed] == [("t-1", "ada", 7200), ("t-2", "", 300)]


def test_a_second_up_renews_the_lease_and_keeps_its_owner(host: LeaseHost) -> None:
    make_cluster(seconds=300)
    uid = host.jobs()[0]["metadata"]["uid"]
    host.pass_time(200)
    make_cluster(seconds=600)
    (job,) = host.jobs()
    assert job["metadata"]["uid"] == uid
    assert 799 <= job["spec"]["activeDeadlineSeconds"] <= 802
    record = fetch_record(HostApi.connect(ACCESS), "t-1")
    assert record is not None and record.owners[0]["uid"] == uid


def test_a_cluster_without_a_lease_cannot_get_one(host: LeaseHost) -> None:
    ensure_record(HostApi.connect(ACCESS), STACK, {})
    with pytest.raises(HostError, match="was made without a lease"):
        make_cluster()
    assert host.jobs() == []
    assert not lease.has_ended(HostApi.connect(ACCESS)), "its stack file may name a lease all the same"


def test_another_cluster_of_that_name_is_left_alone(host: LeaseHost) -> None:
    make_cluster(seconds=300)
    foreign = replace(ACCESS, cluster_id="other")
    with pytest.raises(HostError, match="holds another inner cluster t-1"):
        lease.ensure_lease(HostApi.connect(foreign), seconds=600, stack="organization/kinky/other", holder="eve")
    assert host.jobs()[0]["metadata"]["annotations"]["kinky.dev/holder"] == "ada"
    assert lease.has_ended(HostApi.connect(foreign)), "so it is not the cluster of that state"


def test_a_job_that_is_not_started_is_told_with_the_reason(host: LeaseHost, clock: FakeClock) -> None:
    host.is_suspending = True
    with pytest.raises(WaitError, match=r"the Job is suspended(.|\n)*such as Kueue"):
        make_cluster()


def test_a_lease_of_the_same_name_that_just_ended_is_waited_for(host: LeaseHost, clock: FakeClock) -> None:
    make_cluster(seconds=300)
    host.jobs()[0]["status"]["conditions"] = [{"type": "Failed", "status": "True"}]
    with pytest.raises(WaitError, match="the host has not removed the Job yet"):
        make_cluster()
    assert len(host.jobs()) == 1


def claim_of(seconds: float) -> Properties:
    inputs = ClusterRecordInputs(
        access=ACCESS,
        stack=STACK,
        settings="{}",
        create_namespace=False,
        namespace_body={},
        residue_seconds=30.0,
        retained=(),
        lease=LeaseTerms(seconds=600, holder=""),
    )
    # Pulumi hands on each number as a float.
    return {**describe(inputs), "lease": {"seconds": seconds, "holder": ""}}


def test_the_claim_takes_the_lease_first_and_leaves_nothing(host: LeaseHost) -> None:
    inputs = claim_of(600.0)
    outs = ClusterRecordStep().create(inputs).outs or {}
    assert outs["owners"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "t-1-lease", "uid": host.jobs()[0]["metadata"]["uid"]}
    ]
    assert [type(host.jobs()[0]["spec"][key]) for key in ("activeDeadlineSeconds", "parallelism")] == [int, int]
    made = [path for method, path in host.calls if method == "POST"]
    assert made == ["/apis/batch/v1/namespaces/ns/jobs", "/api/v1/namespaces/ns/configmaps"]
    # A preview without a change, and one after the end.
    assert not ClusterRecordStep().diff("id", outs, dict(inputs)).changes
    ClusterRecordStep().delete("id", outs)
    assert host.left("t-1") == set()
    with pytest.raises(HostError, match="kinky up makes a new cluster"):
        ClusterRecordStep().diff("id", outs, dict(inputs))


def test_a_changed_time_runs_the_claim_again(host: LeaseHost) -> None:
    outs = ClusterRecordStep().create(claim_of(600.0)).outs or {}
    assert ClusterRecordStep().diff("id", outs, claim_of(900.0)).changes


def test_a_lease_without_its_record_is_taken_up_again_and_owns_what_follows(host: LeaseHost) -> None:
    # An `up` was killed between the two.
    lease.ensure_lease(HostApi.connect(ACCESS), seconds=600, stack=STACK, holder="ada")
    make_cluster().create(resources.SECRETS, secret("t-1-a"), namespace="ns")
    assert len(host.jobs()) == 1
    host.pass_time(8000)
    assert host.left("t-1") == set()


def test_a_record_that_cannot_be_read_is_no_end(host: LeaseHost) -> None:
    api = make_cluster()
    host.objects["/api/v1/namespaces/ns/configmaps/t-1-record"]["data"]["version"] = "0"
    assert not lease.has_ended(api), "a destroy goes its usual way"


def test_a_record_without_owners_is_written_without_them() -> None:
    body = ClusterRecord(stack="s", cluster_id="c", host_uid="h", made_at="").build("t-1")
    assert "ownerReferences" not in body["metadata"]


def test_a_holder_renews_at_a_third_and_says_when_the_lease_was_lost(
    host: LeaseHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cluster(seconds=300)
    waits: list[float] = []
    turns = threading.Semaphore(0)
    done = threading.Event()

    def wait(_self: object, seconds: float) -> bool:
        waits.append(seconds)
        done.set()
        turns.acquire()
        return False

    monkeypatch.setattr(lease_holder, "HolderStop", type("Stop", (), {"wait": wait, "set": lambda _self: None}))
    with pytest.raises(HostError, match="its lease has ended"), lease_holder.hold_lease(ACCESS):
        for step in range(3):
            assert done.wait(5)
            done.clear()
            if step == 1:
                host.down = True
            if step == 2:
                host.down = False
                host.pass_time(1000)
            turns.release()
    assert waits == [100.0, 100.0, 25.0]
