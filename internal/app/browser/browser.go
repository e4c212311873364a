// Package browser holds tests and nothing else: people's ways through the console, in a real headless Chromium, on the whole product with a simulated
// WhatsApp.
//
// Nouns: world (the product and the simulator of one test), page (a tab with cookies of its own), checkPage (what every page has to keep to). One Chromium
// serves all tests of the package, each test has its tabs. A phone reads its QR from the pixels of a screenshot.
//
// Screenshots are kept in the folder that BROADCASTER_SCREENSHOTS names, or else in screenshots beside the tests. axe-core, which finds
// what hinders people with disabilities, comes from the npm registry into the user's cache folder; it is no part of the product.
//
// Nobody calls it.
package browser
