"""Where a budget becomes a query: the main job.

``run`` reads from top to bottom: plan -> evidence -> pool -> what was learned -> query -> result.
"""
