"""The desk of whoever works with ampsim: completion in shells, schemas for editors, projects of one's own, and what comes
along from other tools."""
