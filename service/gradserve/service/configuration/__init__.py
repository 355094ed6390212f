"""What a service is told from outside, and where: flags, environment, files."""
