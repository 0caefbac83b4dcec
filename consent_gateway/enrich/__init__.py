"""What can be known about data that is handed in: where a network is, what a user agent is, where a visit came from.

Here live look-ups (`geo`, `agent`, `referrer`) and the treatment of URLs and free text (`personal`, `path`,
`campaign`). All are functions of their arguments and of two kinds of files: the package's own data, and the mmdb that
the owner named. What may not live here: the clock, the network, settings, anything that writes, and any knowledge of
consent: the rule decides what it hands in and what it keeps. Nothing here remembers a full address, or a text that
gave a person away.
"""
