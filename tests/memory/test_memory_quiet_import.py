"""What bitsandbytes logs while PEFT imports it is kept from the user."""

import logging

import pytest

from lorascope.memory.quiet_import import without_kernel_warning


def test_the_warning_is_hidden_and_the_level_restored(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    with without_kernel_warning():
        logger.warning("no kernels")
    assert not caplog.records
    logger.warning("heard again")
    assert [record.message for record in caplog.records] == ["heard again"]
