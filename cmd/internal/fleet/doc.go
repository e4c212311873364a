// Package fleet runs the deployable system on one machine: nats-server, a MongoDB-wire server, the simulator, the API, a linker and senders, each as a
// process of its own, on loopback.
//
// Nouns: Process (one started program, its log and its end), Fleet (all of them, and where they listen), Crowd (the linked phones and
// their campaigns), Tally (what the simulator's books and the store's say of the campaigns, side by side),
// Trial (what a command does with a fleet, from its start to its exit code).
//
// Callers: cmd/e2e, which tells one story, and cmd/chaos, which does harm by a seeded schedule. It speaks to the product through its HTTP API and to
// the simulator through its control API, as any other program does. It must never know what happens to a fleet, and ends only what it
// started: on Linux a process ends with its starter, however that ends.
package fleet
