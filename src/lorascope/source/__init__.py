"""From a model reference to its config, its checkpoint headers and cached inventories."""
