"""Who may read the answers: owners' sign-in and sessions. Knows nothing of visitors."""
