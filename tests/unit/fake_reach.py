"""A way to a cluster whose inner API is in memory; its host is opened as by any other."""

from __future__ import annotations

from typing import Any

import pytest

from kinky.kube.access import HostAccess
from kinky.kube.host import HostApi
from kinky.kube.inner import InnerApi
from kinky.reach.reach import Reach


class FakeReach(Reach):
    """Leads to this connection, without keys and credentials."""

    def __init__(self, access: HostAccess, connection: Any = None) -> None:
        super().__init__(access, "https://x")
        self._connection = connection

    def inner(self) -> InnerApi:
        if self._connection is None:
            pytest.fail("no inner API is needed")
        return InnerApi(self._connection)


class ForgetfulReach(Reach):
    """Opens the host for each question: a store that all tests of a module share meets another host in each test."""

    def host(self) -> HostApi:
        return HostApi.connect(self.access)
