"""The processes of a service: how they start, watch each other, and end."""
