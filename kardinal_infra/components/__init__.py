"""The Pulumi component resources."""
