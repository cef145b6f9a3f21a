// Command pilot-agent is Istio's proxy agent. It runs in every pod, so it is
// linked for itself: the other Istio programs would double its memory.
package main

import (
	"os"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/cmd/pilot-agent/app"
	istioagent "istio.io/istio/pkg/istio-agent"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/nodeagent/sds"
)

func newSDS(options *security.Options, secrets security.SecretManager, provider *meshconfig.PrivateKeyProvider) istioagent.SDSService {
	return sds.NewServer(options, secrets, provider)
}

func main() {
	log.EnableKlogWithCobra()
	if err := app.NewRootCommand(newSDS).Execute(); err != nil {
		log.Error(err)
		os.Exit(1)
	}
}
