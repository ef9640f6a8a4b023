"""What users would pick instead of vidsr, and how it is measured beside it."""
