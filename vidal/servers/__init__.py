"""Annotation servers: a query goes there, its answers come back.

Servers are spoken to through their official SDKs, which are extras of the package and imported when
they are used; torch is not. Tokens come from the environment only.
"""
