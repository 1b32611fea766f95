"""The forward: when kubectl is started, ended and left."""

from dataclasses import dataclass, field

import pytest

from kinky.bootstrap import forward_daemon
from kinky.bootstrap.forward_daemon import Sight
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from tests.unit.fake_api import FakeConnection

ACCESS = HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev")


HEALTHY = Sight(has_service=True, ready=("a",), running=("a",))


@dataclass
class World:
    """What the supervisor sees and does, second by second."""

    alive: set[int] = field(default_factory=set)
    started: list[float] = field(default_factory=list)
    pods: list[str] = field(default_factory=list)
    """The pods that kubectl was started on."""
    stopped: list[int] = field(default_factory=list)
    sight: Sight | None = HEALTHY
    answering: bool = True
    now: float = 0.0

    def start(self, pod: str) -> int:
        self.started.append(self.now)
        self.pods.append(pod)
        self.alive.add(len(self.started))
        return len(self.started)

    def stop(self, pid: int) -> None:
        self.stopped.append(pid)
        self.alive.discard(pid)

    def supervisor(self) -> forward_daemon.Supervisor:
        actions = forward_daemon.Actions(
            start=self.start,
            is_alive=lambda pid: pid in self.alive,
            stop=self.stop,
            answers=lambda: self.answering,
            look=lambda: self.sight,
        )
        return forward_daemon.Supervisor(actions, now=0.0)

    def run(self, supervisor: forward_daemon.Supervisor, seconds: int) -> float | None:
        """Tick for some seconds; returns when it ended, or None while it goes on."""
        for _ in range(seconds):
            self.now += 1
            if not supervisor.tick(self.now):
                return self.now
        return None


def test_kubectl_is_started_once_and_left_alone() -> None:
    world = World()
    assert world.run(world.supervisor(), 3600) is None
    assert world.started == [1]


def test_kubectl_that_died_is_started_again_soon() -> None:
    world = World()
    supervisor = world.supervisor()
    world.run(supervisor, 100)
    world.alive.clear()
    world.run(supervisor, 5)
    assert len(world.started) == 2
    assert world.started[1] <= 103


def test_kubectl_that_cannot_stay_is_started_ever_slower() -> None:
    world = World()
    supervisor = world.supervisor()
    for _ in range(100):
        world.run(supervisor, 1)
        world.alive.clear()
    assert 10 < len(world.started) < 30
    assert world.started[-1] - world.started[-2] >= forward_daemon.BACKOFF_LIMIT_SECONDS


def test_ends_when_the_service_is_gone_for_a_minute() -> None:
    world = World()
    supervisor = world.supervisor()
    world.run(supervisor, 100)
    world.sight = Sight(has_service=False)
    ended = world.run(supervisor, 200)
    assert ended is not None
    assert 60 <= ended - 100 <= 60 + 2 * forward_daemon.LOOK_EVERY_SECONDS


def test_a_service_that_comes_back_keeps_it() -> None:
    world = World()
    supervisor = world.supervisor()
    world.sight = Sight(has_service=False)
    assert world.run(supervisor, 40) is None
    world.sight = HEALTHY
    assert world.run(supervisor, 300) is None


def test_a_silent_host_is_not_a_gone_service() -> None:
    world = World(sight=None)
    supervisor = world.supervisor()
    assert world.run(supervisor, 250) is None
    assert world.run(supervisor, 100) is not None


def test_kubectl_that_leads_nowhere_is_ended_after_several_probes() -> None:
    world = World()
    supervisor = world.supervisor()
    world.run(supervisor, 61)
    world.answering = False
    world.run(supervisor, 60)
    assert world.stopped == []
    world.run(supervisor, 70)
    assert world.stopped == [1]
    assert len(world.started) == 2


def test_kubectl_follows_when_its_pod_is_replaced() -> None:
    world = World()
    supervisor = world.supervisor()
    world.run(supervisor, 10)
    world.sight = Sight(has_service=True, running=("b",))
    world.run(supervisor, 10)
    assert (world.pods, world.stopped) == (["a", "b"], [1])
    assert world.started[1] <= 17


def test_nothing_is_started_while_there_is_no_pod() -> None:
    world = World(sight=Sight(has_service=True))
    supervisor = world.supervisor()
    world.run(supervisor, 100)
    assert world.started == []
    world.sight = Sight(has_service=True, running=("a",))
    world.run(supervisor, 10)
    assert world.pods == ["a"]


@pytest.mark.parametrize(
    ("ready", "running", "current", "chosen"),
    [
        ((), ("a",), None, "a"),
        (("b", "c"), ("a", "b", "c"), None, "b"),
        (("b", "c"), ("a", "b", "c"), "c", "c"),
        (("b",), ("a", "b"), "a", "b"),
        ((), ("a", "b"), "b", "b"),
        ((), (), "a", None),
    ],
)
def test_choice_of_the_pod(
    ready: tuple[str, ...], running: tuple[str, ...], current: str | None, chosen: str | None
) -> None:
    assert Sight(has_service=True, ready=ready, running=running).choose(current) == chosen


def test_sight_leaves_out_pods_that_end() -> None:
    connection = FakeConnection()
    api = HostApi(connection, HostAccess(kubeconfig="/k", context=None, namespace="ns", cluster="dev"))
    assert forward_daemon.fetch_sight(api, "dev-endpoint") == Sight(has_service=False)
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
    sight = forward_daemon.fetch_sight(api, "dev-endpoint")
    assert sight == Sight(has_service=True, ready=("fine",), running=("starting", "fine"))


def test_close_ends_kubectl() -> None:
    world = World()
    supervisor = world.supervisor()
    world.run(supervisor, 1)
    supervisor.close()
    supervisor.close()
    assert world.stopped == [1]
