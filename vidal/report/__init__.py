"""What a person reads: query files, pre-annotations, the HTML report."""
