// Package check asks a validator of another house whether docs/openapi.json is an OpenAPI 3.1 document, and whether the examples in it are what their schemas
// say. The document itself is made, and held against the API, by internal/api/contract.
//
// There is no code here but tests. It is a module of its own, so that the validator and what it needs never meet the product; `make check-contract` runs it.
package check
