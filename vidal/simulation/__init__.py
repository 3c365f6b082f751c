"""Where truth plays the annotator: campaigns without people, and their results."""
