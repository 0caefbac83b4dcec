"""Access logs, read through the same rule and into the same spool as live requests, each line once.

Here live the log's format (`accesslog`, pure), how lines and their places are had from a file or a pipe (`source`), how
a log is known again and a piece of it is committed (`journal`), the run over several logs (`run`) and what a person
watches meanwhile (`progress`). What may not live here: another way of judging or storing an event.
"""
