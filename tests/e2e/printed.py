"""What an `up` of kinky's printed: each change, each warning and each phase once."""

from __future__ import annotations

import re
from collections import Counter

CHANGE = re.compile(r" +\d+ s  (?:created|updated|replaced|deleted) (.*)")
BEGUN = re.compile(r"• (.*?)(?: \(at most \d+ s\))?")
ENDED = re.compile(r"✓ (.*) \(\d+ s\)")
FORMS = (CHANGE, BEGUN, ENDED)


def check_once(printed: str) -> None:
    """Assert that the log of a first `up` tells each thing once, and nothing of Pulumi's own."""
    lines = printed.splitlines()
    changes, begun, ended = ([found[1] for line in lines if (found := form.fullmatch(line))] for form in FORMS)
    warned = [line for line in lines if line.startswith("warning: ")]
    for told in (changes, ended, warned):
        assert told
        assert {what: times for what, times in Counter(told).items() if times > 1} == {}
    assert sorted(begun) == sorted(ended)
    assert not [line for line in lines if line.startswith(("@ ", " +  ", "Updating")) or "$PATH" in line]
