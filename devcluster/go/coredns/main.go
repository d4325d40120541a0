// Command coredns is CoreDNS with the plugins that the development cluster's Corefile names.
// The stock binary carries fifty more (cloud DNS, etcd, tracing), at four minutes of compiling.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func init() {
	// In this order a query passes them: what is not the cluster's falls to the template.
	dnsserver.Directives = []string{
		"bind", "health", "ready", "prometheus", "errors", "kubernetes", "template",
	}
}

func main() { coremain.Run() }
