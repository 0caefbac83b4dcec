"""The edge: what runs inside the web site's workers. Touches memory and the spool, nothing else: no store, no engine.

A fault in here never becomes a fault of the site, and in doubt the data is dropped and the page is served.
"""
