// Package deployments proves what the files of this folder promise: the rights on the queue, the settings that docker-compose.yml hands to the
// services, and the secrets that secrets.sh makes.
//
// There is no code here but tests. They start a nats-server with nats/nats.conf as it stands, and do as each user what its service does and what
// it must not; they run secrets.sh, fill the variables of docker-compose.yml from its file, and let internal/config read the result.
//
// Whether the compose file, the Dockerfile and the Prometheus configuration are well-formed is asked of the parsers of their owners, in
// check, a module of its own, because those bring many dependencies. Nobody imports this package, and it must never start a container.
package deployments
