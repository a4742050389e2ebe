"""PEFT's task types in transformers' words."""

from __future__ import annotations

from collections.abc import Mapping

AUTO_CLASSES: Mapping[str, str] = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "FEATURE_EXTRACTION": "AutoModel",
}
"""Task type → auto-class that loads a model for it."""

_CLASS_ENDINGS: Mapping[str, str] = {
    "ForCausalLM": "CAUSAL_LM",
    "LMHeadModel": "CAUSAL_LM",
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "ForQuestionAnswering": "QUESTION_ANS",
    "ForSeq2SeqLM": "SEQ_2_SEQ_LM",
}

CLASSIFIER_HEADS = ("score", "classifier")
"""Source: peft 0.21.2, `SEQ_CLS_HEAD_NAMES` in `utils/constants.py`."""


def task_of_class(name: str) -> str | None:
    """Return the task type that the name of a model class tells, None if it tells none.

    `ForConditionalGeneration` tells nothing certain: T5 is one, and so is LLaVA.
    """
    return next((task for ending, task in _CLASS_ENDINGS.items() if name.endswith(ending)), None)
