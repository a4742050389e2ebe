"""What a configuration names in a model, also where PEFT refuses the two together."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.matching.adapting import values_for
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.matching.choosing import Choice, choose
from lorascope.matching.entries import explain_entries
from lorascope.matching.match import adapt
from lorascope.matching.names import Endings, EntryList, parameter_names
from lorascope.matching.result import Match, MatchedTarget, Reason, SavedModule
from lorascope.matching.versions import NEWEST


def explain(
    inventory: Inventory,
    spec: LoraSpec,
    *,
    peft_version: str = NEWEST,
    regex: BoundedRegex | None = None,
) -> Match:
    """Return what `match` returns, or, where PEFT refuses, what each entry names and why it does.

    Args:
        inventory: Of the bare base model.
        spec: The configuration, as the user wrote it.
        peft_version: Whose behaviour to follow.
        regex: Matches the patterns, in what is left of its time; None for one of its own.

    Raises:
        SpecificationError: PEFT refuses the configuration before it selects a module.
        UnmodelledError: lorascope does not model what is asked.
    """
    choice = choose(inventory, spec, peft_version, regex)
    try:
        return adapt(choice)
    except UnmodelledError:
        raise
    except SpecificationError as error:
        return _refused(choice, str(error))


def _refused(choice: Choice, words: str) -> Match:
    targets = tuple(_named(choice))
    return Match(
        spec=choice.spec,
        effective=choice.effective,
        targets=(),
        saved=(),
        trained_tokens=(),
        entries=explain_entries(choice, choice.effective, targets, tuple(_saved(choice))),
        excluded=choice.selection.taken_out,
        trainable_params=0,
        warnings=choice.tying.warnings,
        peft_version=choice.peft_version,
        refused=words,
    )


def _named(choice: Choice) -> Iterator[MatchedTarget]:
    """Yield what would be adapted, without the counts, which may be what PEFT stumbles over."""
    tied = {path: (path, Reason.TIED) for path in choice.to_tie}
    modules = {**choice.chosen, **tied}
    known = EntryList(choice.parameter_entries)
    parameters = {
        name: choice.parameter_entries[entry]
        for name, entry in known.named(parameter_names(choice.modules)).items()
    }
    values = values_for([*modules, *parameters], choice.effective, choice.regex)
    for path, (entry, reason) in modules.items():
        yield values.target(path, entry, reason, 0)
    for path, (entry, reason) in parameters.items():
        yield values.target(path, entry, reason, 0, is_parameter=True)


def _saved(choice: Choice) -> Iterator[SavedModule]:
    endings = Endings([*choice.modules])
    for entry in choice.spec.modules_to_save or ():
        for path in endings.ending(entry):
            yield SavedModule(path=path, params=0, entry=entry)
