"""What has no subject of its own: files, memory, threads, and what tools do alike."""
