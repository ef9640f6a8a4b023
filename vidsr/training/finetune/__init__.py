"""Fine-tuning on somebody's own footage."""
