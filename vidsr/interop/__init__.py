"""Export of networks to other formats, and import from them."""
