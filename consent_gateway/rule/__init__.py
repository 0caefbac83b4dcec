"""The core: what an observation may become. Pure functions and values: no input or output, no clock, no globals.

Look-ups, keys, salts and the time come in as arguments. Nothing here may import another folder of the package.
"""
