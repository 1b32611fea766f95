"""One entry of a kubeconfig with its place in the file; it reads keys and collects the problems of unusable ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinky.kube.kubeconfig_shape import decode_data


@dataclass(frozen=True, kw_only=True)
class Section:
    """A mapping whose types were checked before; an absent key reads as an empty value, as in Go."""

    values: Mapping[str, Any]
    place: str
    """Such as `users[me].user`."""
    problems: list[str]
    """Shared by all sections of one file."""

    def has(self, *keys: str) -> bool:
        """Tell whether one of the keys has a value."""
        return any(self.values.get(key) for key in keys)

    def text(self, key: str) -> str:
        """Return a text."""
        return str(self.values.get(key) or "")

    def flag(self, key: str) -> bool:
        """Return a truth value."""
        return bool(self.values.get(key))

    def texts(self, key: str) -> list[str]:
        """Return a list of texts."""
        return [str(item or "") for item in self.values.get(key) or ()]

    def below(self, key: str) -> "Section":
        """Return the section below a key."""
        return Section(values=self.values.get(key) or {}, place=f"{self.place}.{key}", problems=self.problems)

    def refuse(self, key: str, reason: str) -> None:
        """Note why a key cannot be used; the reason must not hold its value when that can be a secret."""
        self.problems.append(f"{self.place}.{key}: {reason}")

    def path(self, key: str) -> Path | None:
        """Return the path of a file; None if it is absent or relative.

        kubectl looks for a relative one beside the kubeconfig, and Pulumi's provider in its own folder.
        """
        named = self.text(key)
        if not named:
            return None
        if not Path(named).is_absolute():
            self.refuse(key, f"the path {named} is relative, and Pulumi would use another folder; write it in full")
            return None
        return Path(named)

    def content(self, key: str) -> bytes | None:
        """Return the content of a file, or of the key with `-data` instead; None if neither can be used."""
        data = f"{key}-data"
        if self.has(key) and self.has(data):
            self.refuse(data, f"is there together with {key}, and kubectl refuses that")
            return None
        if self.has(data):
            return decode_data(self.text(data))
        path = self.path(key)
        try:
            return path.read_bytes() if path else None
        except OSError as error:
            self.refuse(key, f"cannot read {path}: {error.strerror}")
            return None
