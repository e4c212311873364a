// Package contract keeps the pages true that tell others what is on the queue: docs/asyncapi.json (an AsyncAPI 3 document of every command, fact,
// failed job and send request), the tables of docs/queues.md, and the facts that docs/events.md shows to readers of the API. They are made by its tests; it has
// no other code.
//
// Nouns: word (one type of message: where it goes, who writes and who reads it), source (the comments and constants of the Go types, which become
// descriptions and enumerations), document (the AsyncAPI document), section (what stands between two markers of a page).
//
// The shapes come from the types of internal/events by reflection, the examples from their golden files, and streams, consumers, buckets, policies and
// headers from bus.Describe. `make update-golden` writes the pages anew; a difference is a change that others notice, so read it.
//
// Nothing imports this package. It must never say something about the queue that it does not read from the code, but for who writes and reads a word,
// which is compared with the rights in deployments/nats/users.conf.
package contract
