// Command istio is istiod and istioctl in one binary.
//
// The program to run is picked by the name it is started under, so that the
// common packages are linked once instead of twice.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	istioctl "istio.io/istio/istioctl/cmd"
	discovery "istio.io/istio/pilot/cmd/pilot-discovery/app"
	"istio.io/istio/pkg/log"
)

func command(program string) (*cobra.Command, error) {
	switch program {
	case "pilot-discovery":
		return discovery.NewRootCommand(), nil
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
