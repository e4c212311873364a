// Package check asks the owners' own parsers whether the files of a deployment are well-formed: docker-compose.yml (compose-go, which is what
// `docker compose config` runs), deployments/Dockerfile (BuildKit's parser and its linter), and prometheus.yml (Prometheus's configuration).
//
// It also asks internal/config whether each service would start with what docker-compose.yml gives it, with the secrets that secrets.sh makes.
//
// There is no code here but tests. It is a module of its own, because those parsers bring many dependencies that the product must never
// meet; deployments/README.md has the command. It needs neither Docker nor the network, and must never start a container.
package check
