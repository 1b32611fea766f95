"""A value of the operator on its way through the store into the inner cluster."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_urlsafe

from kinky import names
from kinky.manifests.secrets_store import build_external_secret
from tests.e2e.person import Person, wait_for


@contextmanager
def seed(person: Person, name: str, folder: Path) -> Iterator[str]:
    """Put a fresh value into the store, and yield it once an ExternalSecret has copied it; take both away again."""
    stack, value = person.stack.stack, token_urlsafe(24)
    file, manifest = folder / "value", folder / "external-secret.json"
    file.write_text(value)
    body = build_external_secret(person.stack.config, name, "value", namespace=names.NAMESPACE_KINKY)
    manifest.write_text(json.dumps(body))
    person.kinky("secrets", "set", name, "--stack", stack, "--file", str(file))
    person.kubectl("apply", "--filename", str(manifest))
    wanted = base64.b64encode(value.encode()).decode()
    get = ("get", "secret", name, "--namespace", names.NAMESPACE_KINKY, "--ignore-not-found")
    read = (*get, "--output", "jsonpath={.data.value}")
    wait_for("the value in the inner cluster", lambda: person.kubectl(*read) == wanted, limit_seconds=180)
    yield value
    person.kubectl("delete", "--filename", str(manifest))
    person.kinky("secrets", "rm", name, "--stack", stack)
