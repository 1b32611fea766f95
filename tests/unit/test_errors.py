"""What a user reads when something fails."""

import copy
import pickle

from kinky.errors import ConfigError, KinkyError, WaitError


def test_the_text_holds_everything_because_pulumi_prints_only_that() -> None:
    error = KinkyError("it failed", details=["first", "two\nlines"], hint="try again")
    assert str(error) == "it failed\n  first\n  two\n  lines\nhint: try again"


def test_a_message_alone_has_no_empty_lines() -> None:
    assert str(ConfigError("it failed")) == "it failed"


def test_an_error_survives_another_process() -> None:
    error = WaitError("it failed", details=["why"], hint="try again")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert type(twin) is WaitError
        assert str(twin) == str(error)
