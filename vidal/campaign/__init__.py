"""From clips to a query: scanning, the pool, selection."""
