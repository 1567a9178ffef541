"""What the services of Celeriac share: only what at least two of them use today."""
