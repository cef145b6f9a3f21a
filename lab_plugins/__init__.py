"""Stand-in Pulumi resource plugins, used when the official ones are not installed and cannot be had.

They keep to the behaviour of the official `pulumi-kubernetes` and `pulumi-command` providers as far as a
Python program sees it. Deliberately left out: Helm, Kustomize, the YAML packages, `*Patch` kinds, client-side
apply, `renderYamlToDirectory`, deprecation warnings, `GetSchema`, waits for
DaemonSet, Ingress, PersistentVolume, ReplicationController, ResourceQuota and ServiceAccount, and the
`remote` half of the command package.
"""
