"""The controller against a real API server; `inner_cluster` comes from KinKy's pytest plugin."""

import threading
import time
from collections.abc import Iterator

import pytest
from kubernetes import client
from labels import Labeller


@pytest.fixture(scope="module")
def core(inner_cluster) -> Iterator[client.CoreV1Api]:
    controller = Labeller(inner_cluster.client(), inner_cluster.namespace)
    thread = threading.Thread(target=controller.run)
    thread.start()
    yield client.CoreV1Api(inner_cluster.client())
    controller.stop()
    thread.join(timeout=30)


def wait_for_label(core: client.CoreV1Api, namespace: str, name: str, value: str) -> None:
    seen = None
    for _ in range(60):
        seen = (core.read_namespaced_config_map(name, namespace).metadata.labels or {}).get("checked")
        if seen == value:
            return
        time.sleep(0.5)
    pytest.fail(f"label checked of {name}: {seen}, not {value}")


def test_a_config_map_is_labelled_with_the_number_of_its_keys(core, inner_cluster) -> None:
    body = {"metadata": {"name": "two"}, "data": {"a": "1", "b": "2"}}
    core.create_namespaced_config_map(inner_cluster.namespace, body)
    wait_for_label(core, inner_cluster.namespace, "two", "2")


def test_the_label_follows_a_change(core, inner_cluster) -> None:
    body = {"metadata": {"name": "changed"}, "data": {"a": "1", "b": "2"}}
    core.create_namespaced_config_map(inner_cluster.namespace, body)
    wait_for_label(core, inner_cluster.namespace, "changed", "2")
    core.patch_namespaced_config_map("changed", inner_cluster.namespace, {"data": {"b": None}})
    wait_for_label(core, inner_cluster.namespace, "changed", "1")
