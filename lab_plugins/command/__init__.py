"""Stand-in for `pulumi-resource-command`: `command:local:Command` and the function `command:local:run`."""
