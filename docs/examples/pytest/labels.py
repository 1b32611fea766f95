"""A controller: each ConfigMap of a namespace gets the label `checked`, and the number of its keys in it."""

import threading

from kubernetes import client, watch


class Labeller:
    """Watches one namespace until it is stopped."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        """Keep the way to the cluster; nothing is asked yet."""
        self._core = client.CoreV1Api(api)
        self._namespace = namespace
        self._stop = threading.Event()

    def run(self) -> None:
        """Label what is there and what comes, in rounds of a few seconds, until `stop`."""
        while not self._stop.is_set():
            stream = watch.Watch().stream(self._core.list_namespaced_config_map, self._namespace, timeout_seconds=2)
            for event in stream:
                if event["type"] in ("ADDED", "MODIFIED"):
                    self.reconcile(event["object"])

    def stop(self) -> None:
        """End `run` after its round."""
        self._stop.set()

    def reconcile(self, found: client.V1ConfigMap) -> None:
        """Set the label if it is absent or wrong; a ConfigMap that is gone meanwhile is not an error."""
        wanted = str(len(found.data or {}))
        if (found.metadata.labels or {}).get("checked") == wanted:
            return
        body = {"metadata": {"labels": {"checked": wanted}}}
        try:
            self._core.patch_namespaced_config_map(found.metadata.name, self._namespace, body)
        except client.ApiException as error:
            if error.status != 404:
                raise
