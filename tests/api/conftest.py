"""One API server for all these tests, and for each of them a namespace with a cluster of its own on it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from kinky import names
from kinky.kube import resources
from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.kube.objects import build_secret
from kinky.ownership import record
from kinky.reach.reach import Reach
from tests.api import server

NUMBERS = itertools.count(1)
STACK = "organization/kinky/dev"


@dataclass(frozen=True)
class Cluster:
    """One cluster as the code sees it: its host, and its inner API, which is the same server."""

    reach: Reach
    inner: InnerApi

    @property
    def access(self) -> HostAccess:
        """How the host is reached."""
        return self.reach.access

    @property
    def host(self) -> HostApi:
        """The host's API."""
        return self.reach.host()


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Server]:
    found = server.find_programs()
    missing = [name for name, path in found.items() if path is None]
    if missing:
        pytest.skip(f"not built: {', '.join(missing)}; kinky tools --ensure builds them")
    programs = {name: path for name, path in found.items() if path is not None}
    with server.running(tmp_path_factory.mktemp("api"), programs) as running:
        yield running


@pytest.fixture
def cluster(api: server.Server) -> Cluster:
    inner = api.connect_inner()
    found = api.build_access(f"ns-{next(NUMBERS)}")
    first = HostApi.connect(found)
    access = replace(found, host_uid=first.fetch_host_uid(), cluster_id=uuid.uuid4().hex)
    inner.create(resources.NAMESPACES, {"metadata": {"name": access.namespace}})
    reach = Reach(access, api.url)
    record.ensure_record(reach.host(), STACK, {"controlPlane.replicas": 1})
    keys = build_secret(names.pki_secret(server.CLUSTER), api.files, labels=names.cluster_labels(server.CLUSTER))
    reach.host().create(resources.SECRETS, keys, namespace=access.namespace)
    return Cluster(reach, inner)
