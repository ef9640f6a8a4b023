"""What enlarging costs: measured by tools/scaling.py, simulated beyond this machine by tools/simulate.py."""
