"""The console of a container guest, by the same ways as that of a virtual machine."""

from __future__ import annotations

import pytest

from tests.e2e import consoles, guests
from tests.e2e.person import Person

pytestmark = pytest.mark.host


def test_the_serial_console_shows_what_the_guest_prints(finished: Person) -> None:
    node, text = finished.worker, "printed by the guest"
    script = f"echo {text} >/dev/console"
    # A terminal ends its lines like this.
    consoles.watch_until(finished, node, f"{text}\r\n", lambda: guests.run(finished, node, script))


def test_the_log_of_the_console_has_the_stages_of_the_boot(finished: Person) -> None:
    for node in (finished.control_plane, finished.worker):
        assert "kinky: stage " in consoles.read_log(finished, node)
