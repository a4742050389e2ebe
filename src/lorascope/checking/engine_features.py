"""Which features, that some engine lacks, a configuration makes use of; see `serving.features`."""

from __future__ import annotations

from collections.abc import Mapping

from lorascope.checking.subject import Subject
from lorascope.serving import features
from lorascope.serving.engines import Feature
from lorascope.serving.features import Used

__all__ = ["Used", "used_features"]


def used_features(subject: Subject) -> Mapping[Feature, Used]:
    """Return the features that the configuration, and what it adapts, make use of."""
    return features.used_features(subject.spec, subject.match, subject.inventory, subject.stored)
