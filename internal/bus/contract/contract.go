// Package contract keeps the two pages true that tell others what is on the queue: docs/asyncapi.json (an AsyncAPI 3 document of every command, fact,
// failed job and send request) and the tables of docs/queues.md. Both are made by its tests; it has no other code.
//
// Nouns: word (one type of message: where it goes, who writes and who reads it), source (the comments and constants of the Go types, which become
// descriptions and enumerations), document (the AsyncAPI document), section (a table between two markers of docs/queues.md).
//
// The shapes come from the types of internal/events by reflection, the examples from their golden files, and streams, consumers, buckets, policies and
// headers from bus.Describe. `make update-golden` writes both pages anew; a difference is a change that others notice, so read it.
//
// Nothing imports this package. It must never say something about the queue that it does not read from the code, but for who writes and reads a word,
// which is compared with the rights in deployments/nats/users.conf.
package contract
