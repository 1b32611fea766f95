"""Inner Services: what answers through them, also after kube-proxy has compared its rules with what nft lists."""

from __future__ import annotations

import base64
import hashlib

from kinky import names
from kinky.manifests.addons import external_secrets, kube_proxy
from kinky.manifests.body import app_selector
from tests.e2e.person import Person, wait_for

SYNCED = '"Caches are synced" controller="endpoint slice config"'
"""What kube-proxy logs last before it writes its rules for the first time."""


def check_workload(person: Person) -> None:
    """Assert that the workload answers with its greeting and with a value that is in the store."""
    workload = person.stack.config.workload
    answer = person.kubectl("get", "--raw", f"/api/v1/namespaces/{names.NAMESPACE_WORKLOAD}/services/web:http/proxy/")
    secret = person.host_secrets()[names.store_secret(person.stack.cluster, "message")]
    digests = {hashlib.sha256(base64.b64decode(value)).hexdigest() for value in secret.values()}
    lines = dict(line.partition("=")[::2] for line in answer.split("\n"))
    assert lines["greeting"] == workload.greeting
    assert lines["secret"] in digests


def check_after_restart(person: Person) -> None:
    """Start kube-proxy again, which then compares its rules as it does each hour, and assert that Services answer."""
    proxies = ("pods", "--namespace", names.NAMESPACE_SYSTEM, "--selector", select(kube_proxy.APP))
    person.kubectl("delete", *proxies, limit_seconds=180)

    def compared() -> bool:
        pods = person.kubectl("get", *proxies, "--output", "name").split()
        logs = [person.kubectl("logs", "--namespace", names.NAMESPACE_SYSTEM, pod) for pod in pods]
        return len(pods) == len(person.nodes()) and all(SYNCED in log for log in logs)

    wait_for("kube-proxy on each node", compared, limit_seconds=300)
    # Only a new connection goes by the rules, and a program that starts finds the API through its Service.
    store = ("pods", "--namespace", names.NAMESPACE_KINKY, "--selector", select(external_secrets.APP))
    person.kubectl("delete", *store, limit_seconds=180)
    person.open_gate()


def select(app: str) -> str:
    """Return the selector of an inner application's pods, as kubectl takes it."""
    return ",".join(f"{label}={value}" for label, value in app_selector(app).items())
