"""What every service of Celeriac stands on: only what at least two services use today."""
