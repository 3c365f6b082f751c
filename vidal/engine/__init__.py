"""Where clips are processed: this process, or worker processes."""
