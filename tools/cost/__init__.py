"""The cost of upscaling: measured by tools/scaling_study.py, simulated for other machines by tools/simulate.py."""
