"""What a service listens on, and how gRPC reads and writes there."""
