"""Which words a command takes, what they mean and what its help says; nothing is done here."""
