"""PEFT's selection of modules as pure functions over an inventory."""
