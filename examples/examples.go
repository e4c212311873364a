// Package examples holds the files that the demo and the documentation use, so that they run from anywhere and not only from a checkout.
//
// contacts.csv is an audience with names, accents and rows that are wrong on purpose; README.md beside it says how many and why. The
// numbers in it are made up.
//
// Callers: internal/app/demo, and tests. It must hold no logic.
package examples

import _ "embed" // for the file below

// Contacts is contacts.csv.
//
//go:embed contacts.csv
var Contacts []byte
