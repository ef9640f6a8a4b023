"""The sinks of a live stream: segments, single files, HLS playlists and pushes to a server."""
