"""Write a LoRA configuration in another tool's words, and say what that tool cannot."""
