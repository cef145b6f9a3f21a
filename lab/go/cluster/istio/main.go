// Command istio is istiod, its proxy agent and istioctl in one binary.
//
// The program to run is picked by the name it is started under, so that the
// common packages are linked once instead of three times.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	meshconfig "istio.io/api/mesh/v1alpha1"
	istioctl "istio.io/istio/istioctl/cmd"
	agent "istio.io/istio/pilot/cmd/pilot-agent/app"
	discovery "istio.io/istio/pilot/cmd/pilot-discovery/app"
	istioagent "istio.io/istio/pkg/istio-agent"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/nodeagent/sds"
)

func newSDS(options *security.Options, secrets security.SecretManager, provider *meshconfig.PrivateKeyProvider) istioagent.SDSService {
	return sds.NewServer(options, secrets, provider)
}

func command(program string) (*cobra.Command, error) {
	switch program {
	case "pilot-discovery":
		return discovery.NewRootCommand(), nil
	case "pilot-agent":
		return agent.NewRootCommand(newSDS), nil
	case "istioctl":
		if err := istioctl.ConfigAndEnvProcessing(); err != nil {
			return nil, err
		}
		return istioctl.GetRootCmd(os.Args[1:]), nil
	}
	return nil, fmt.Errorf("istio: no program is called %q", program)
}

func main() {
	chosen, err := command(filepath.Base(os.Args[0]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	log.EnableKlogWithCobra()
	if err := chosen.Execute(); err != nil {
		log.Error(err)
		os.Exit(1)
	}
}
