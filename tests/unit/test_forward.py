"""The forward: the pod that a connection goes to, and when there is nothing left to forward to."""

import pytest

from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.reach.endpoint_view import GONE_SECONDS, SILENT_SECONDS, Follower, Sight, fetch_sight
from tests.unit.fake_api import FakeConnection

HEALTHY = Sight(has_service=True, ready=("a",), running=("a",))


def test_goes_on_while_the_service_is_there() -> None:
    follower = Follower(now=0)
    for now in range(0, 4000, 5):
        follower.notice(HEALTHY, now)
        assert follower.find_end(now) is None


def test_ends_when_the_service_is_gone_for_a_minute() -> None:
    follower = Follower(now=0)
    follower.notice(HEALTHY, 100)
    for now in (105, 130, 164):
        follower.notice(Sight(has_service=False), now)
        assert follower.find_end(now) is None
    assert follower.find_end(105 + GONE_SECONDS) == "the endpoint Service has been gone for 60 s"


def test_a_service_that_comes_back_keeps_it() -> None:
    follower = Follower(now=0)
    follower.notice(Sight(has_service=False), 10)
    follower.notice(HEALTHY, 50)
    assert follower.find_end(10 + GONE_SECONDS) is None
    follower.notice(Sight(has_service=False), 100)
    assert follower.find_end(100 + GONE_SECONDS - 1) is None


def test_a_silent_host_is_not_a_gone_service() -> None:
    follower = Follower(now=0)
    follower.notice(HEALTHY, 10)
    follower.notice(None, 200)
    assert follower.find_end(10 + SILENT_SECONDS - 1) is None
    assert follower.find_end(10 + SILENT_SECONDS) == "the host has not answered for 300 s"


def test_the_pod_of_the_last_connection_is_kept_while_it_is_ready() -> None:
    follower = Follower(now=0)
    follower.notice(Sight(has_service=True, ready=("new", "old"), running=("new", "old")), 0)
    assert follower.choose(()) == "new"
    follower.current = "old"
    assert follower.choose(()) == "old"
    assert follower.choose(("old",)) == "new"
    follower.notice(Sight(has_service=True, ready=("new",), running=("new", "old")), 5)
    assert follower.choose(()) == "new"


def test_fault_27_only_pods_that_have_ended_are_gone() -> None:
    follower = Follower(now=0)
    follower.notice(Sight(has_service=True, running=("a",), ending=("b",)), 0)
    assert [pod for pod in ("a", "b", "c") if follower.is_gone(pod)] == ["c"]
    # Without the Service nothing is known of its pods.
    follower.notice(Sight(has_service=False), 5)
    assert not follower.is_gone("c")


@pytest.mark.parametrize(
    ("ready", "running", "current", "tried", "chosen"),
    [
        ((), ("a",), None, (), "a"),
        (("b", "c"), ("a", "b", "c"), None, (), "b"),
        (("b", "c"), ("a", "b", "c"), "c", (), "c"),
        (("b",), ("a", "b"), "a", (), "b"),
        ((), ("a", "b"), "b", (), "b"),
        ((), (), "a", (), None),
        (("b", "c"), ("a", "b", "c"), "b", ("b",), "c"),
        (("b",), ("a", "b"), None, ("b",), "a"),
        (("b",), ("a", "b"), "a", ("a", "b"), None),
    ],
)
def test_choice_of_the_pod(
    ready: tuple[str, ...], running: tuple[str, ...], current: str | None, tried: tuple[str, ...], chosen: str | None
) -> None:
    assert Sight(has_service=True, ready=ready, running=running).choose(current, tried) == chosen


def test_sight_tells_pods_that_end_from_those_that_stay() -> None:
    connection = FakeConnection()
    api = HostApi(connection, HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev"))
    assert fetch_sight(api, "dev-endpoint") == Sight(has_service=False)
    connection.add("/api/v1/namespaces/ns/services", "dev-endpoint", spec={"selector": {"role": "cp"}})
    for name, phase, ready, extra in (
        ("done", "Succeeded", "False", {}),
        ("ending", "Running", "True", {"deletionTimestamp": "T"}),
        ("starting", "Running", "False", {}),
        ("fine", "Running", "True", {}),
    ):
        metadata = {"labels": {"role": "cp"}, **extra}
        status = {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}
        connection.add("/api/v1/namespaces/ns/pods", name, metadata=metadata, status=status)
    connection.objects["/api/v1/namespaces/ns/pods/fine"]["status"]["podIP"] = "10.85.0.7"
    assert fetch_sight(api, "dev-endpoint") == Sight(
        has_service=True,
        ready=("fine",),
        running=("starting", "fine"),
        ending=("ending",),
        addresses={"fine": "10.85.0.7"},
    )
