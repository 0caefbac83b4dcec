"""What a right of GDPR Art. 12 to 22 does: to the register of requests, and to the data wherever they lie.

Here live deadlines, the register, exports and what is done to spool and store. Nothing here meets a browser: the edge
proves who asks, and this answers about the one consent that was proved. Nothing here makes a decision that is a
person's: what comes by mail is run, extended or refused by somebody with a name.
"""
