"""Entries of a configuration's lists that name no module, and so are not written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lorascope.matching.configured import Configured


def at_work(names: Sequence[str], wanted: Configured) -> tuple[str, ...]:
    """Return the names that adapt something; all where PEFT rewrites names of experts."""
    if wanted.inventory.model.expert_rewrite is not None:
        return tuple(names)
    return _ending(names, wanted.adapted)


def saving(names: Sequence[str], wanted: Configured) -> tuple[str, ...]:
    """Return the names of `modules_to_save` that save something."""
    return _ending(names, wanted.saved)


def _ending(names: Sequence[str], paths: Iterable[str]) -> tuple[str, ...]:
    """Return the names that one of the paths has, or ends with."""
    ends = {end for path in paths for end in _ends(path)}
    return tuple(name for name in names if name in ends)


def _ends(path: str) -> Iterator[str]:
    """Yield a path, and each end of it behind a dot."""
    while path:
        yield path
        path = path.partition(".")[2]


def idle(wanted: Configured) -> tuple[str, ...]:
    """Return one sentence for each list with entries that adapt nothing."""
    found: list[str] = []
    for field in ("target_modules", "target_parameters"):
        names = getattr(wanted.spec, field)
        if names is None or isinstance(names, str):
            continue
        working = at_work(names, wanted)
        left = [repr(name) for name in names if name not in working]
        if left and working:
            verb = "adapts nothing and is" if len(left) == 1 else "adapt nothing and are"
            found.append(f"{', '.join(left)} of {field} {verb} left out.")
    names = wanted.spec.modules_to_save or ()
    left = [repr(name) for name in names if name not in saving(names, wanted)]
    if left:
        verb = "names nothing and is" if len(left) == 1 else "name nothing and are"
        found.append(f"{', '.join(left)} of modules_to_save {verb} left out.")
    return tuple(found)
