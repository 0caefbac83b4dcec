"""The store: ClickHouse, whichever way it runs. Lives in the back office, never in a worker of the site.

The tables, the one client for both engines, and the forwarder that empties the spool. No request and no observation.
"""
