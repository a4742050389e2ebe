"""What each module does: name rules as data, and their assignment with evidence."""

from lorascope.roles.assign import assign, shipped_matcher

__all__ = ["assign", "shipped_matcher"]
