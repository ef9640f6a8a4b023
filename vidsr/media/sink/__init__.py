"""Where a live stream goes: segments, playlists, single files and pushes."""
