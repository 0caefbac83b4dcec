"""Durable state on this host: keys, salts, spool, ledger, books, the signed cookie, and the socket of the back office.

Files and locks only: no store, no network beyond the unix socket, nothing raw (the spool takes events, not
observations).
"""
