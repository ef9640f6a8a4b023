"""What enlarging costs: measured by tools/growth.py, simulated beyond this machine by tools/simulate.py."""
