"""What the owner decides: settings from the environment, the policy, and the texts that a visitor is shown.

No request, no state on disk, no store: values that are read once and checked at start.
"""
