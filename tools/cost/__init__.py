"""The cost of upscaling: measured by tools/scaling.py, simulated for other machines by tools/simulate.py."""
