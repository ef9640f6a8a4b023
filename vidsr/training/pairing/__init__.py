"""Two recordings of one view: matched in time, registered to each other."""
