"""The HTTP side: one module per kind of object. Each has `routes(service)`."""
