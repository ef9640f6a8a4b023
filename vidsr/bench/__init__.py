"""Where the time of a run goes, measured on the very pipeline that enlarges."""
