"""What people look at and listen to: figures, the listening page, and the votes of listeners."""
