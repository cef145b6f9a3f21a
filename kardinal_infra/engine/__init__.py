"""What touches the inside of Pulumi's engine and SDK."""
