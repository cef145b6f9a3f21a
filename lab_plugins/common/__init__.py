"""What both plugins share: the wire format, the gRPC host, the engine's log, partial failures."""
