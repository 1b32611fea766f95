"""P5: a pod on each worker, from its creation to its own answer over the pod network."""

from __future__ import annotations

import secrets
import time
from typing import Final

from kinky import names
from kinky.errors import KinkyError, WaitError
from kinky.kube import resources
from kinky.kube.connection import ApiError, JsonObject
from kinky.kube.inner import InnerApi
from kinky.manifests import pods
from kinky.manifests.workload import PORT
from kinky.retry import Pending, wait_until
from kinky.status.observation import Observation, State, Watch
from kinky.status.parallel import Job, run_side_by_side
from kinky.status.target import Target

CAPABILITY: Final = "scheduling"
SECONDS: Final = 30.0
LIMIT_SECONDS: Final = 45.0
LABELS: Final = {"kinky.dev/status": "scheduling", names.LABEL_MANAGED_BY: names.MANAGED_BY}


def look(target: Target) -> list[Observation]:
    """Start a pod on each worker side by side; pods of looks that were killed are removed first."""
    watch = Watch(CAPABILITY, "workers")
    try:
        inner = target.reach.inner()
        _remove_left(inner)
    except KinkyError as error:
        return [watch.blind(error)]
    nodes = [node.name for node in (target.workers or target.planes)]
    return list(run_side_by_side({node: _build_job(target, inner, node) for node in nodes}).values())


def build_pod(name: str, node: str, *, image: str) -> JsonObject:
    """Build the canary: the scheduler has one node to choose, and the image is on it already."""
    return {
        "metadata": {"name": name, "labels": LABELS},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": list(pods.EVERY_TAINT),
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "activeDeadlineSeconds": 120,
            "automountServiceAccountToken": False,
            "securityContext": pods.unprivileged_user(),
            "containers": [
                {
                    "name": "canary",
                    "image": image,
                    "imagePullPolicy": pods.PULL_POLICY,
                    "resources": pods.requests(cpu="5m", memory="8Mi"),
                    "securityContext": pods.restricted(),
                }
            ],
        },
    }


def _build_job(target: Target, inner: InnerApi, node: str) -> Job[Observation]:
    watch, hint = Watch(CAPABILITY, node), f"kinky why {node} --stack {target.stack}"
    name, image = f"kinky-status-{secrets.token_hex(6)}", target.config.release.system_images["web"]

    def work() -> Observation:
        started = time.monotonic()
        try:
            inner.create(resources.PODS, build_pod(name, node, image=image), namespace=names.NAMESPACE_KINKY)
            wait_until(
                lambda: _check(inner, name),
                what=f"a new pod on {node} answers",
                deadline_seconds=target.limit(SECONDS),
                every_seconds=1.0,
                tolerate=(ApiError,),
            )
        except WaitError as error:
            return watch.bad("no-answer-of-pod", "; ".join([error.message, *error.details]), hint=hint)
        except KinkyError as error:
            return watch.failed(error)
        finally:
            _remove(inner, name)
        return watch.good(f"{node}: a new pod answered after {time.monotonic() - started:.1f} s")

    return Job(
        work=work,
        limit_seconds=LIMIT_SECONDS,
        late=lambda: watch.bad("silent", f"a new pod on {node} has not answered for {LIMIT_SECONDS:g} s", hint=hint),
        failed=lambda error: watch.see(State.UNKNOWN, "failed", f"not tried: {type(error).__name__}"),
    )


def _check(inner: InnerApi, name: str) -> str | Pending:
    body = inner.fetch(resources.PODS, name, namespace=names.NAMESPACE_KINKY) or {}
    status = body.get("status") or {}
    if status.get("phase") != "Running":
        conditions = [each for each in status.get("conditions") or [] if each.get("status") != "True"]
        told = str(conditions[0].get("message") or conditions[0].get("type")) if conditions else "not seen yet"
        return Pending(f"pod is {status.get('phase', 'absent')}: {told}")
    return inner.fetch_pod_page(names.NAMESPACE_KINKY, name, "/healthz", port=PORT)


def _remove(inner: InnerApi, name: str) -> None:
    try:
        inner.delete(resources.PODS, name, namespace=names.NAMESPACE_KINKY)
    except KinkyError:
        # The next look removes it by its label.
        return


def _remove_left(inner: InnerApi) -> None:
    selector = ",".join(f"{key}={value}" for key, value in LABELS.items())
    for body in inner.fetch_all(resources.PODS, namespace=names.NAMESPACE_KINKY, selector=selector):
        inner.delete(resources.PODS, str(body["metadata"]["name"]), namespace=names.NAMESPACE_KINKY)
