"""Who may read the answers: users and roles, sessions, tokens, the audit log. Knows nothing of visitors."""
