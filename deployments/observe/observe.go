// Package observe asks Prometheus's own parsers whether what operators watch is well-formed, and whether it is about metrics that exist: the alert rules
// and their unit tests (deployments/prometheus), the dashboards (deployments/grafana), and the runbooks (docs/runbooks).
//
// There is no code here but tests. It is a module of its own, because Prometheus brings many dependencies that the product must never meet; its go.mod
// also pins promtool, which `make rules` builds and runs. It needs neither a server nor, once the modules are there, the network.
package observe
