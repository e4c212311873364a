// Package contract keeps true what others read of the API and build on: docs/openapi.json, docs/postman.json and the operations of the Go client. All three
// are made, and the API is held against the first of them, by its tests; it has no other code.
//
// Nouns: document (the OpenAPI document as the API serves it), operation (one method of one path in it), yard (an API on real parts: SQLite, an embedded
// queue), world (what is in the yard: sessions, campaigns, jobs in all their states), generator (values for a schema: valid ones, those at its borders, and
// spoilt ones), tally (how often each operation was asked, and what it answered).
//
// The fuzzing of document_test.go's operations is in fuzz_test.go: requests that are derived from the document alone and from what is in the world. No
// answer may be a 5xx, or a status, a media type, a body or a code that the document does not list. CONTRACT_SEED repeats a run, CONTRACT_ROUNDS makes it
// longer. `make update-golden` writes the generated files anew; a difference is a change that others notice, so read it.
//
// Nothing imports this package. It must never know an operation by itself: what it says about one it reads from the document.
package contract
