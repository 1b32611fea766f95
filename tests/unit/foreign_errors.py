"""Failures of libraries whose texts repeat what they were given, a secret among it."""

from __future__ import annotations

import json
import subprocess

import requests
import urllib3
import yaml

SECRET = "hunter2-and-hunter3"
PEM = "-----BEGIN PRIVATE KEY-----\n" + "A" * 64 + "\n-----END PRIVATE KEY-----"


def bad_header() -> None:
    requests.get("http://127.0.0.1:1", headers={"Authorization": f"Bearer {SECRET}\n"}, timeout=1)


def bad_header_of_urllib3() -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1:1")
    connection.putrequest("GET", "/")
    connection.putheader("Authorization", f"Bearer {SECRET}\n")


def bad_yaml() -> None:
    yaml.safe_load(f"password: {SECRET}\n\tx")


def bad_json() -> None:
    try:
        json.loads(f'{{"password": "{SECRET}"')
    except ValueError as error:
        raise ValueError(f"cannot parse {{'password': '{SECRET}'}}") from error


def bad_environment() -> None:
    subprocess.run(["true"], env={"PASS": f"{SECRET}\0"}, check=True)


def bad_command() -> None:
    subprocess.run(["sh", "-c", "exit 3", SECRET], check=True)


def bad_url() -> None:
    urllib3.util.parse_url(f"https://me:{SECRET}@host:port")


def bad_key() -> None:
    raise KeyError(SECRET)


def bad_letters() -> None:
    f"{SECRET}ł".encode("latin-1")


def bad_group() -> None:
    raise ExceptionGroup(SECRET, [ValueError(SECRET), TypeError(SECRET)])


def bad_note() -> None:
    error = RuntimeError(SECRET)
    error.add_note(SECRET)
    raise error


def bad_library_error() -> None:
    class ProxyError(OSError):
        """Like those of requests: a text where others have a number."""

    raise ProxyError(f"http://me:{SECRET}@proxy")


FOREIGN = [
    bad_header,
    bad_header_of_urllib3,
    bad_yaml,
    bad_json,
    bad_environment,
    bad_command,
    bad_url,
    bad_key,
    bad_letters,
    bad_group,
    bad_note,
    bad_library_error,
]
