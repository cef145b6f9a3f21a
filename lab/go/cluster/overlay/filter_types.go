// Package xds without the registration of every Envoy extension that exists:
// istiod imports the ones that it configures itself. An EnvoyFilter that names
// another extension is refused by this istiod.
package xds
