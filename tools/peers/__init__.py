"""Other upscaling tools, and their speed and quality compared with vidsr's."""
