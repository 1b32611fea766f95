"""The kinds of secrets store, apart from the models: a live step needs their names only."""

from __future__ import annotations

from typing import Final

HOST_NAMESPACE: Final = "hostNamespace"
IN_CLUSTER: Final = "inCluster"
VAULT: Final = "vault"
