"""The answers: reports as `.sql` files with a row in the register, and the page that shows them.

Asks the store with typed parameters only; a visitor's or an owner's text never becomes SQL.
"""
