"""Many runs: sweeps and searches."""
