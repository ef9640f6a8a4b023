"""What a camera learns by itself: moments are collected, a network is learned, proved and watched. Each a process."""
