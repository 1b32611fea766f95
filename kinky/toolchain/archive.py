"""Release archives: fetched over HTTPS, taken only if the SHA-256 is the pinned one."""

from __future__ import annotations

import hashlib
import http.client
import io
import tarfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kinky import progress
from kinky.errors import KinkyError

_FETCH_SECONDS = 60


def unpack(spec: Mapping[str, Any] | None, into: Path) -> bool:
    """Fetches the archive of a tool and puts its members (name -> path in the archive) into a folder.

    Returns False if none is declared or it cannot be had whole, so that the next source is tried.
    Raises KinkyError if what came is not what was pinned: that is never a reason to go on quietly.
    """
    if spec is None:
        return False
    try:
        with urllib.request.urlopen(spec["url"], timeout=_FETCH_SECONDS) as response:  # noqa: S310 - the URL is pinned in tools.toml
            body = response.read()
    # An answer that breaks off is no OSError.
    except (OSError, http.client.HTTPException) as error:
        # Its text may quote the proxy's URL, password included.
        progress.note(f"release archive not reachable ({type(error).__name__}); building from the module instead")
        return False
    digest = hashlib.sha256(body).hexdigest()
    if digest != spec["sha256"]:
        raise KinkyError(
            f"release archive {spec['url']}: SHA-256 is {digest}, pinned is {spec['sha256']}",
            hint="do not use it; compare the pin in toolchain/tools.toml with the project's release page",
        )
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        for program, member in spec["members"].items():
            source = archive.extractfile(member)
            if source is None:
                raise KinkyError(
                    f"release archive {spec['url']}: no file {member}", hint="correct `members` in toolchain/tools.toml"
                )
            (into / program).write_bytes(source.read())
            (into / program).chmod(0o755)
    return True
