"""Query strategies, one file per family, and selection under a budget."""
