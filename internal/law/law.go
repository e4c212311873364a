// Package law holds the rules of this code base that no linter knows, as tests that read the code and fail with the reason of the rule.
//
// imports_test.go says which package may import which (design: verbs, nouns and doors), and which packages alone may touch a technology;
// code_test.go, sleep_test.go and state_test.go what code must not do (skip tests, work in init, grow long functions, sleep, keep
// package state); main_test.go how a program starts; docs_test.go what must be written down (package comments, golden files, reasons for
// dependencies).
//
// A new package needs a row in imports_test.go. An exception is one line in the list beside its rule, with the reason. Each rule is itself
// tested on code that breaks it.
//
// There is no code here but tests: nothing imports it, and it imports nothing of the product.
package law
