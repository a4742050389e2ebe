"""From the command line's MODEL to its inventory."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lorascope.cli.progress import working

if TYPE_CHECKING:
    from lorascope.core.inventory import Inventory


def load(options: argparse.Namespace) -> Inventory:
    """Inspect the model that the options name, as they say."""
    observe: bool | None = getattr(options, "observe", None)  # an option of `inspect` alone
    running = " and running it without weights" if observe else ""
    with working(f"reading {options.model}, building it on the meta device{running}"):
        from lorascope import api

        return api.inspect(
            options.model,
            task_type=options.task_type,
            offline=options.offline,
            trust_remote_code=options.trust_remote_code,
            cache=not options.no_cache,
            refresh=options.refresh,
            observe=observe,
        )
