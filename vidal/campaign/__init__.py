"""Where an answer becomes a label: the record, rounds, answers and training, which last between two
selections."""
