"""What modules do when the model runs on fake tensors. Imports torch."""
