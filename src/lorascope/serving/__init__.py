"""What serving engines do with a LoRA adapter."""
